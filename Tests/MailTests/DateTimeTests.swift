import Mail
import NIOCore
import Testing

@Suite("Date and time of RFC 5322")
struct DateTimeTests {
    @Test(arguments: [
        (0, "Thu, 01 Jan 1970 00:00:00 +0000"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
        (1_795_341_087, "Sun, 22 Nov 2026 09:51:27 +0000"),
        (1_767_225_599, "Wed, 31 Dec 2025 23:59:59 +0000"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 +0000"),
        (-1, "Wed, 31 Dec 1969 23:59:59 +0000"),
        (Int64.max / 1_000, "Fri, 31 Dec 9999 23:59:59 +0000"),
        (Int64.min / 1_000, "Mon, 01 Jan 0001 00:00:00 +0000"),
    ])
    func reads(_ second: Int64, _ expected: String) {
        var buffer = ByteBuffer()
        buffer.writeDateTime(Timestamp(milliseconds: second * 1_000))
        #expect(String(buffer: buffer) == expected)
    }
}
