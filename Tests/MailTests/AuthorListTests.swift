import Mail
import Testing

struct AuthorListTests {
    private func read(_ value: String) -> [String]? {
        Array(value.utf8).withUnsafeBytes { AuthorList.addresses($0)?.map(\.description) }
    }

    @Test(arguments: [
        (" a@b.example", ["a@b.example"]), ("a@b.example\r\n", ["a@b.example"]),
        (" Joe Doe <joe@B.example>\r\n", ["joe@b.example"]), (" \"Doe, Joe\" <joe@b.example>", ["joe@b.example"]),
        (" joe@evil.example <joe@b.example>", ["joe@b.example"]),
        (" =?utf-8?q?J=C3=B6?=\r\n <j@b.example>", ["j@b.example"]),
        (" a@b.example, c@d.example", ["a@b.example", "c@d.example"]), (" (me) a (dot) @ b.example", ["a@b.example"]),
        (" Team: a@b.example, <c@d.example>;", ["a@b.example", "c@d.example"]),
        (" <@one.example,@two.example:a@b.example>", ["a@b.example"]), (" \"a b\"@c.example", ["\"a b\"@c.example"]),
        (" \"x\\\"y\" <a@b.example>", ["a@b.example"]), (" a@b.example,,", ["a@b.example"]),
        (" <a@b.example> (a (nested) comment)", ["a@b.example"]),
        (" Jörg <jörg@grüße.example>", ["jörg@grüße.example"]),
    ])
    func `finds every address`(_ value: String, _ expected: [String]) {
        #expect(read(value) == expected)
    }

    @Test(arguments: [
        "", " ", " Joe Doe", " <>", " <a@b.example", " a@b.example>", " <a@b.example> <c@d.example>",
        " (open a@b.example",
        " <a@b.example> c@d.example", " \"open <a@b.example>", " a@b.example c@d.example", " <a b@c.example",
        " a@b.example\0", " undisclosed:;", " a@b.example: c@d.example;", " @", " a@", " <a@b.example\0>",
    ])
    func `what could be read in two ways is not read`(_ value: String) {
        #expect(read(value) == nil)
    }

    @Test
    func `random octets never trap`() {
        var random = SystemRandomNumberGenerator()
        let letters = Array("a@b.,:;<>()\"\\ \r\n\t\0é".utf8)
        for _ in 0..<20_000 {
            let value = (0..<Int.random(in: 0...30, using: &random)).compactMap { _ in
                letters.randomElement(using: &random)
            }
            _ = value.withUnsafeBytes { AuthorList.addresses($0) }
        }
    }

    @Test
    func `the header scan tells where they stand`() {
        func scan(_ text: String) -> (Int, [String]?) {
            var scan = HeaderScan()
            return Array(text.utf8).withUnsafeBytes { bytes in
                scan.advance(bytes)
                let authors = AuthorList.addresses(UnsafeRawBufferPointer(rebasing: bytes[scan.authors]))
                return (scan.authorFields, authors?.map(\.description))
            }
        }
        let folded = scan("To: x@y.example\r\nfrom : A\r\n <a@b.example>\r\nSubject: z\r\n c\r\n\r\n")
        #expect(folded.0 == 1 && folded.1 == ["a@b.example"])
        let two = scan("From: a@b.example\r\nFrom: c@d.example\r\n\r\n")
        #expect(two.0 == 2 && two.1 == ["a@b.example"])
        let none = scan("Fromm: a@b.example\r\n\r\n")
        #expect(none.0 == 0 && none.1 == nil)
    }
}
