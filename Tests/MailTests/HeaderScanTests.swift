import Mail
import Testing

@Suite("Header scan")
struct HeaderScanTests {
    /// Feeds the text in two pieces, cut at every octet, and expects the same each time.
    private func scan(_ text: String) -> HeaderScan {
        let octets = Array(text.utf8)
        var whole = HeaderScan()
        octets.withUnsafeBytes { whole.advance($0) }
        for cut in 0...octets.count {
            var scan = HeaderScan()
            octets.withUnsafeBytes { bytes in
                scan.advance(UnsafeRawBufferPointer(rebasing: bytes[..<cut]))
                scan.advance(bytes)
            }
            #expect(scan.hops == whole.hops && scan.size == whole.size && scan.ended == whole.ended)
            #expect(scan.hasDate == whole.hasDate && scan.hasMessageID == whole.hasMessageID)
            #expect(scan.eightBit == whole.eightBit && scan.missing == whole.missing)
            #expect(scan.broken == whole.broken && scan.hasUnwanted == whole.hasUnwanted)
        }
        return whole
    }

    @Test
    func `fields are found in any case, with white space before the colon`() {
        let found = scan("RECEIVED: a\r\nreceived:b\r\nDate : now\r\nmessage-ID:\t<x>\r\n\r\nReceived: body\r\n")
        #expect(found.hops == 2 && found.hasDate && found.hasMessageID && found.ended && !found.missing)
    }

    @Test
    func `names that only begin alike, or stand in a folded line, do not count`() {
        let found = scan("Dates: a\r\nX-Date: b\r\nSubject: c\r\n Date: d\r\n\tReceived: e\r\nDelivery-Date: f\r\n\r\n")
        #expect(found.hops == 0 && !found.hasDate && !found.hasMessageID && found.ended)
    }

    @Test(arguments: ["Bcc", "RESENT-BCC", "Return-path ", "Authentication-Results", "X-Figaro-Anything"])
    func `fields that may have to go are seen`(_ name: String) {
        #expect(scan("Subject: a\r\n\(name): b\r\n\r\n").hasUnwanted)
        #expect(!scan("Subject: \(name): b\r\nY\(name.dropFirst()): c\r\n\r\n\(name): body\r\n").hasUnwanted)
    }

    @Test
    func `a line that is no field ends the header`() {
        let found = scan("Subject: a\r\nno field at all\r\nDate: b\r\n")
        #expect(found.ended && !found.hasDate && !found.missing && found.broken)
        #expect(found.size == "Subject: a\r\n".utf8.count)
    }

    @Test(arguments: ["hello\r\n", " Date: x\r\n", ": empty name\r\n", "bad name: x\r\n"])
    func `text that begins without a header is told apart`(_ text: String) {
        #expect(scan(text).missing)
    }

    @Test
    func `an empty header is a header`() {
        let found = scan("\r\nDate: body\r\n")
        #expect(found.ended && !found.missing && !found.hasDate && found.size == 0)
    }

    @Test
    func `octets above 127 count in the header only`() {
        #expect(scan("Subject: Grüße\r\n\r\nx\r\n").eightBit)
        #expect(scan("Subject: a\r\n ü\r\n\r\n").eightBit)
        #expect(!scan("Subject: a\r\n\r\nGrüße\r\n").eightBit)
    }

    @Test
    func `without its end the header has not ended`() {
        let found = scan("Subject: a\r\nDate: b\r\nReceived: c")
        #expect(!found.ended && found.hasDate && found.hops == 0)
    }
}
