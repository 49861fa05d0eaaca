import Foundation
import NIOCore

/// One file of `Dialogues`: what both sides of a connection say, in the order in which they say it.
struct Dialogue: Sendable {
    /// Which side is Figaro.
    enum Side: String, Sendable {
        case server, client
    }

    /// What a line of the dialogue is.
    enum Step: Sendable {
        /// The other side says these octets.
        case says([UInt8])
        /// Figaro says this line; see ``Expectation``.
        case hears(Expectation)
        case otherSideCloses, otherSideHalfCloses
        /// Figaro has closed the connection, or shut its side of it.
        case figaroCloses
        /// Something that happens besides the words: `wait 6m`.
        case event(String)
        /// What has come of it so far: `kept 1`.
        case outcome(Expectation)
    }

    /// A line that is expected.
    struct Expectation: Sendable {
        /// The words, without `...`.
        var words: String
        /// `...` at the end: whatever else stands on the line.
        var isOpen = false

        /// `250...`: a whole reply of this code, of one line or of many.
        var isWholeReply: Bool { isOpen && words.utf8.count == 3 && words.utf8.allSatisfy { (48...57).contains($0) } }

        func fits(_ line: String) -> Bool { isOpen ? line.hasPrefix(words) : line == words }
    }

    /// A key of the head with its value.
    struct Setting: Sendable {
        var line: Int
        var key: String
        var value: String
    }

    var file: String
    var side: Side
    /// How the other side's words are cut into reads.
    var readings = Reading.allCases
    var settings: [Setting]
    var steps: [(line: Int, step: Step)]

    static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Dialogues")

    /// Every dialogue there is, by the name of its file.
    static let names: [String] = {
        let found = try? FileManager.default.contentsOfDirectory(atPath: folder.path)
        return (found ?? []).filter { $0.hasSuffix(".txt") }.sorted()
    }()

    init(named name: String) throws {
        let url = Self.folder.appending(path: name)
        self = try DialogueReader.read(String(contentsOf: url, encoding: .utf8), file: url.path)
    }

    init(file: String, side: Side, settings: [Setting], steps: [(line: Int, step: Step)]) throws(DialogueFault) {
        self.file = file
        self.side = side
        self.settings = settings.filter { $0.key != "read" }
        self.steps = steps
        for setting in settings where setting.key == "read" {
            guard let reading = Reading(rawValue: setting.value) else {
                throw fault(setting.line, "“read” is lines, together or octets, not “\(setting.value)”")
            }
            readings = [reading]
        }
    }

    func fault(_ line: Int, _ what: String) -> DialogueFault { DialogueFault(file: file, line: line, what: what) }
}

/// What is wrong with a dialogue, or with Figaro, and at which line of the file it showed.
struct DialogueFault: Error, CustomStringConvertible {
    var file: String
    var line: Int
    var what: String

    var description: String { "\(file):\(line): \(what)" }
}
