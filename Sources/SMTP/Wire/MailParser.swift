import Mail

/// Reads what follows MAIL and RCPT: paths (RFC 5321 section 4.1.2) and parameters (RFC 5321 section 4.1.1.11).
enum MailParser {
    static func mail(_ line: Span<UInt8>, _ argument: Range<Int>) throws(CommandFault) -> MailCommand {
        var index = try keyword("FROM:", line, argument)
        let path = try pathRange(line, &index, argument.upperBound)
        var command = MailCommand(sender: .null)
        if !path.isEmpty {
            let mailbox = try mailbox(line, path) { .sender($0) }
            command.sender = .address(mailbox.address)
            command.nonASCII = mailbox.nonASCII
        }
        try parameters(line, index..<argument.upperBound, &command)
        return command
    }

    static func recipient(
        _ line: Span<UInt8>, _ argument: Range<Int>
    ) throws(CommandFault) -> (ForwardPath, RecipientRequest?) {
        var index = try keyword("TO:", line, argument)
        let path = try pathRange(line, &index, argument.upperBound)
        guard !path.isEmpty else { throw .recipient(.syntax) }
        let forward: ForwardPath
        if equal(line, path, "postmaster") {
            forward = .postmaster
        } else {
            let mailbox = try mailbox(line, path) { .recipient($0) }
            forward = .address(mailbox.address, nonASCII: mailbox.nonASCII)
        }
        guard index < argument.upperBound else { return (forward, nil) }
        return (forward, try recipientRequest(line, index..<argument.upperBound))
    }

    /// Spaces after the colon are wrong and common (RFC 5321 section 3.3): they do no harm.
    private static func keyword(
        _ keyword: StaticString, _ line: Span<UInt8>, _ argument: Range<Int>
    ) throws(CommandFault) -> Int {
        var index = argument.lowerBound + keyword.utf8CodeUnitCount
        guard index <= argument.upperBound, equal(line, argument.lowerBound..<index, keyword) else { throw .arguments }
        while index < argument.upperBound, line[index] == 32 { index += 1 }
        return index
    }

    /// Finds what stands between the brackets, without quotes being fooled by a bracket inside them; `index` is left
    /// after the closing one.
    private static func pathRange(
        _ line: Span<UInt8>, _ index: inout Int, _ end: Int
    ) throws(CommandFault) -> Range<Int> {
        guard index < end, line[index] == UInt8(ascii: "<") else { throw .arguments }
        let start = index + 1
        var quoted = false
        index = start
        while index < end, quoted || line[index] != UInt8(ascii: ">") {
            if line[index] == UInt8(ascii: "\"") { quoted.toggle() }
            index += quoted && line[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        guard index < end else { throw .arguments }
        index += 1
        guard index - start + 1 <= 256 else { throw .pathTooLong }
        guard index == end || line[index] == 32 else { throw .arguments }
        return start..<index - 1
    }

    private static func mailbox(
        _ line: Span<UInt8>, _ path: Range<Int>, _ fault: (AddressFault) -> CommandFault
    ) throws(CommandFault) -> (address: Address, nonASCII: Bool) {
        let inside = line.extracting(path)
        do throws(AddressFault) {
            var index = 0
            try sourceRoute(inside, &index)
            let mailbox = try AddressGrammar.mailbox(inside, &index)
            guard index == inside.count else { throw AddressFault.syntax }
            return mailbox
        } catch {
            throw fault(error)
        }
    }

    /// `@one,@two:` before the mailbox is read and ignored (RFC 5321 section 4.1.1.3 and appendix C).
    private static func sourceRoute(_ path: Span<UInt8>, _ index: inout Int) throws(AddressFault) {
        guard index < path.count, path[index] == UInt8(ascii: "@") else { return }
        while true {
            guard index < path.count, path[index] == UInt8(ascii: "@") else { throw .syntax }
            index += 1
            try AddressGrammar.domainOrLiteral(path, &index)
            guard index < path.count else { throw .syntax }
            index += 1
            if path[index - 1] == UInt8(ascii: ":") { return }
            guard path[index - 1] == UInt8(ascii: ",") else { throw .syntax }
        }
    }

    private static func parameters(
        _ line: Span<UInt8>, _ range: Range<Int>, _ command: inout MailCommand
    ) throws(CommandFault) {
        var index = range.lowerBound
        var body = false
        while index < range.upperBound {
            let (keyword, value) = parameter(line, &index, range.upperBound)
            if equal(line, keyword, "SIZE") {
                guard let value, command.size == nil else { throw .arguments }
                command.size = try number(line, value)
            } else if equal(line, keyword, "BODY") {
                guard let value, !body else { throw .arguments }
                body = true
                command.eightBit = equal(line, value, "8BITMIME")
                guard command.eightBit || equal(line, value, "7BIT") else { throw .arguments }
            } else if equal(line, keyword, "SMTPUTF8") {
                guard value == nil, !command.smtpUTF8 else { throw .arguments }
                command.smtpUTF8 = true
            } else if equal(line, keyword, "RET") {
                guard let value, command.returned == nil else { throw .arguments }
                command.returned = try returned(line, value)
            } else if equal(line, keyword, "ENVID") {
                guard let value, command.envelopeID == nil else { throw .arguments }
                command.envelopeID = try envelopeID(line, value)
            } else if equal(line, keyword, "AUTH") {
                guard let value, !command.hasAuth else { throw .arguments }
                command.hasAuth = true
                try LoginParser.checkSender(line, value)
            } else {
                throw .unknownParameter
            }
        }
    }

    /// The next `KEYWORD=value`, or keyword alone; `index` is left after it.
    static func parameter(
        _ line: Span<UInt8>, _ index: inout Int, _ end: Int
    ) -> (keyword: Range<Int>, value: Range<Int>?) {
        while index < end, line[index] == 32 { index += 1 }
        let start = index
        while index < end, line[index] != 32, line[index] != UInt8(ascii: "=") { index += 1 }
        let keyword = start..<index
        guard index < end, line[index] == UInt8(ascii: "=") else { return (keyword, nil) }
        let valueStart = index + 1
        while index < end, line[index] != 32 { index += 1 }
        return (keyword, valueStart..<index)
    }

    /// 1 to 20 digits (RFC 1870 section 6.1).
    private static func number(_ line: Span<UInt8>, _ value: Range<Int>) throws(CommandFault) -> Int {
        guard (1...20).contains(value.count) else { throw .arguments }
        var number = 0
        for index in value {
            guard (48...57).contains(line[index]) else { throw .arguments }
            let (tens, overflow) = number.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(Int(line[index] - 48))
            number = overflow || carry ? .max : sum
        }
        return number
    }

    static func equal(_ line: Span<UInt8>, _ range: Range<Int>, _ word: StaticString) -> Bool {
        guard range.count == word.utf8CodeUnitCount else { return false }
        return word.withUTF8Buffer { word in
            for (offset, index) in range.enumerated() {
                let octet = line[index]
                let other = word[offset]
                let isLetter = (65...90).contains(octet & 0xDF)
                guard octet == other || (isLetter && octet & 0xDF == other & 0xDF) else { return false }
            }
            return true
        }
    }
}
