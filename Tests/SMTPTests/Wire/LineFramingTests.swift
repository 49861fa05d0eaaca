import SMTP
import Testing

@Suite("Line framing")
struct LineFramingTests {
    @Test(
        "only CRLF ends a line",
        arguments: [
            ("", LineFraming.incomplete), ("NOOP", .incomplete), ("NOOP\r", .incomplete), ("\r", .incomplete),
            ("NOOP\r\n", .line(4)), ("\r\n", .line(0)), ("NOOP\r\nQUIT\r\n", .line(4)), ("NOOP\r\n\n", .line(4)),
            ("NOOP\n", .bareLF), ("\n", .bareLF), ("NOOP\nQUIT\r\n", .bareLF), ("A\n\r\n", .bareLF),
            ("NOOP\rQUIT", .bareCR), ("NOOP\r\r\n", .bareCR), ("A\rB\r\n", .bareCR), ("A\rB\n", .bareCR),
            ("\r\r", .bareCR),
        ])
    func frames(_ text: String, expected: LineFraming) {
        Array(text.utf8).withUnsafeBytes { #expect(LineFraming.next($0) == expected) }
    }
}
