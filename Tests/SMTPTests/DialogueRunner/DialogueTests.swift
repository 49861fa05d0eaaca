import Testing

/// The files of `Dialogues`, each played three times: what Figaro says must not depend on how octets are cut to reads.
@Suite struct Dialogues {
    @Test(arguments: Dialogue.names) func `a dialogue goes as it is written`(_ name: String) throws {
        do {
            let dialogue = try Dialogue(named: name)
            for reading in dialogue.readings { try DialogueStage.play(dialogue, reading) }
        } catch let fault as DialogueFault {
            let place = SourceLocation(
                fileID: "SMTPTests/\(name)", filePath: fault.file, line: fault.line, column: 1)
            Issue.record("\(fault)", sourceLocation: place)
        }
    }

    @Test func `there are many of them, on both sides`() throws {
        let sides = try Dialogue.names.map { try Dialogue(named: $0).side }
        #expect(sides.count >= 60)
        #expect(sides.count { $0 == .client } >= 25)
        #expect(sides.count { $0 == .server } >= 25)
    }

    /// Wrong dialogues, the line that is wrong, and what must be said of it.
    static let wrong: [(text: String, line: Int, says: String)] = [
        ("figaro: server\n\nS: 220 relay.example ESMTP Figaro\nC: NOOP\nS: 250 other\n", 5, "found “250 2.0.0 Ok”"),
        ("figaro: server\nS: 220...\nC: NOOP\n", 3, "Figaro said also “250 2.0.0 Ok"),
        ("figaro: server\nS: 220...\nS: 250 2.0.0 Ok\n", 3, "Figaro said nothing"),
        ("figaro: server\nS: 220...\nC: QUIT\nS: 221...\nS closes\nC: NOOP\nS: 250...\n", 7, "Figaro said nothing"),
        ("figaro: server\nS: 220...\nS closes\n", 3, "has not closed"),
        ("figaro: server\nS: 220...\n= kept 1\n", 3, "found “kept 0”"),
        ("figaro: server\nS: 220...\n! fly\n", 3, "nothing that can happen"),
        ("figaro: server\nmessage_sise: 3\nS: 220...\n", 2, "no setting of a server"),
        ("figaro: server\nS: 220...\nX: NOOP\n", 3, "a line begins with"),
        ("figaro: server\nS: 220...\nC: \\q\n", 3, "a backslash stands before"),
        ("figaro: both\nS: 220...\n", 1, "server or client"),
        ("S: 220...\n", 1, "figaro: server"),
        ("figaro: client\n", 2, "nobody says a word"),
        ("figaro: client\nmail: ann to bob\nS: 220 mx\n", 2, "no setting of a client"),
        ("figaro: client\nS: 220 mx\nC: EHLO elsewhere\n", 3, "found “EHLO out-1.example”"),
        ("figaro: client\nS: 220 mx\nC: EHLO...\nS: 250 mx\n", 4, "does not mention: open"),
    ]

    @Test(arguments: wrong.indices) func `a wrong dialogue fails with its file and line`(_ index: Int) {
        let (text, line, says) = Self.wrong[index]
        let fault = #expect(throws: DialogueFault.self) {
            let dialogue = try DialogueReader.read(text, file: "wrong.txt")
            for reading in dialogue.readings { try DialogueStage.play(dialogue, reading) }
        }
        #expect(fault?.file == "wrong.txt" && fault?.line == line)
        #expect(fault?.what.contains(says) == true, "\(fault?.what ?? "")")
    }
}
