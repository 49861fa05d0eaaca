/// Reads what follows BDAT: `chunk-size [ SP "LAST" ]` (RFC 3030 section 2).
enum ChunkParser {
    /// - Throws: `.chunk` for everything else: a sign, a unit, a word, or more digits than a number of 64 bits has. The
    ///   octets of the chunk are on their way all the same, so that nothing after such a line can be told apart.
    static func bdat(_ line: Span<UInt8>, _ argument: Range<Int>) throws(CommandFault) -> Command {
        var index = argument.lowerBound
        var size = 0
        while index < argument.upperBound, (48...57).contains(line[index]) {
            guard index - argument.lowerBound < 20 else { throw .chunk }
            let (tens, overflow) = size.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(Int(line[index] - 48))
            guard !overflow, !carry else { throw .chunk }
            size = sum
            index += 1
        }
        guard index > argument.lowerBound else { throw .chunk }
        if index == argument.upperBound { return .bdat(octets: size, last: false) }
        guard line[index] == 32 else { throw .chunk }
        while index < argument.upperBound, line[index] == 32 { index += 1 }
        guard isLast(line, index..<argument.upperBound) else { throw .chunk }
        return .bdat(octets: size, last: true)
    }

    private static func isLast(_ line: Span<UInt8>, _ range: Range<Int>) -> Bool {
        let word: [UInt8] = [76, 65, 83, 84]
        guard range.count == word.count else { return false }
        for (offset, index) in range.enumerated() where line[index] & 0xDF != word[offset] { return false }
        return true
    }
}
