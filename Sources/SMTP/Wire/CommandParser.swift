import Mail

/// Reads a command line, without its CRLF. Nothing is copied but what is kept.
package enum CommandParser {
    package static func parse(_ bytes: UnsafeRawBufferPointer) throws(CommandFault) -> Command {
        let line = Span<UInt8>(_unsafeBytes: bytes)
        let end = trimmedEnd(line)
        var index = 0
        let verb = word(line, &index, end)
        let argument = afterSpace(line, index, end)
        switch verb {
        case Verb.mail: return .mail(try MailParser.mail(line, argument..<end))
        case Verb.rcpt:
            let (path, request) = try MailParser.recipient(line, argument..<end)
            return .rcpt(path, request)
        case Verb.data: return try alone(.data, argument..<end)
        case Verb.ehlo: return .hello(name: try name(line, argument..<end), extended: true)
        case Verb.helo: return .hello(name: try name(line, argument..<end), extended: false)
        case Verb.rset: return try alone(.rset, argument..<end)
        case Verb.quit: return try alone(.quit, argument..<end)
        case Verb.noop: return .noop
        case Verb.help: return .help
        case Verb.vrfy:
            guard argument < end else { throw .arguments }
            return .vrfy
        case Verb.starttls: return try alone(.startTLS, argument..<end)
        case Verb.bdat: return try ChunkParser.bdat(line, argument..<end)
        case Verb.auth: return try LoginParser.auth(line, argument..<end)
        case Verb.xclient: return .xclient(NamingParser.xclient(line, argument..<end))
        case Verb.expn, Verb.turn, Verb.etrn, Verb.send, Verb.soml, Verb.saml:
            throw .notImplemented
        default: throw .unknown
        }
    }

    /// RFC 5321 section 4.1.1 asks to tolerate white space before the CRLF.
    private static func trimmedEnd(_ line: Span<UInt8>) -> Int {
        var end = line.count
        while end > 0, line[end - 1] == 32 || line[end - 1] == 9 { end -= 1 }
        return end
    }

    /// Up to eight letters as one number, upper-cased; 0 when it is no such word.
    private static func word(_ line: Span<UInt8>, _ index: inout Int, _ end: Int) -> UInt64 {
        var word: UInt64 = 0
        while index < end, line[index] != 32 {
            let upper = line[index] & 0xDF
            guard index < 8, (65...90).contains(upper) else { return 0 }
            word = word << 8 | UInt64(upper)
            index += 1
        }
        return word
    }

    private static func afterSpace(_ line: Span<UInt8>, _ index: Int, _ end: Int) -> Int {
        var index = index
        while index < end, line[index] == 32 { index += 1 }
        return index
    }

    private static func alone(_ command: Command, _ argument: Range<Int>) throws(CommandFault) -> Command {
        guard argument.isEmpty else { throw .arguments }
        return command
    }

    static func standsInName(_ octet: UInt8) -> Bool {
        switch octet {
        case 48...57, 65...90, 97...122: true
        case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "["),
            UInt8(ascii: "]"):
            true
        default: false
        }
    }

    /// A name as clients really send it: more than RFC 5321 section 4.1.2 allows, but nothing that could not stand in a
    /// header field.
    private static func name(_ line: Span<UInt8>, _ argument: Range<Int>) throws(CommandFault) -> String {
        guard (1...255).contains(argument.count) else { throw .arguments }
        for index in argument where !standsInName(line[index]) { throw .arguments }
        return line.extracting(argument).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }
}

/// Command words as numbers, most significant octet first.
private enum Verb {
    static let mail = UInt64(0x4D41_494C)
    static let rcpt = UInt64(0x5243_5054)
    static let data = UInt64(0x4441_5441)
    static let ehlo = UInt64(0x4548_4C4F)
    static let helo = UInt64(0x4845_4C4F)
    static let rset = UInt64(0x5253_4554)
    static let quit = UInt64(0x5155_4954)
    static let noop = UInt64(0x4E4F_4F50)
    static let help = UInt64(0x4845_4C50)
    static let vrfy = UInt64(0x5652_4659)
    static let starttls = UInt64(0x5354_4152_5454_4C53)
    static let expn = UInt64(0x4558_504E)
    static let auth = UInt64(0x4155_5448)
    static let xclient = UInt64(0x58_434C_4945_4E54)
    static let bdat = UInt64(0x4244_4154)
    static let turn = UInt64(0x5455_524E)
    static let etrn = UInt64(0x4554_524E)
    static let send = UInt64(0x5345_4E44)
    static let soml = UInt64(0x534F_4D4C)
    static let saml = UInt64(0x5341_4D4C)
}
