package import NIOCore

/// The fields of a header, where they stand, and where the body begins.
package struct HeaderBlock: Sendable {
    package struct Field: Sendable, Hashable {
        /// In lower case.
        package var name: String
        /// From its name to its CRLF, as offsets into the content.
        package var range: Range<Int>
        /// Where its value begins, behind the colon.
        package var value: Int
    }

    package private(set) var fields: [Field] = []
    /// Where the header ends: at the empty line, or at the end of the content.
    package private(set) var end: Int
    /// Where the body begins, behind the empty line.
    package private(set) var body: Int
    /// A line is neither a field nor part of one, and no empty line came before it.
    package private(set) var isBroken = false

    /// - Parameter start: where the header begins in the readable octets of `content`.
    package init(_ content: ByteBuffer, from start: Int) {
        end = start
        body = start
        content.withUnsafeReadableBytes { octets in
            var place = start
            while place < octets.count {
                let line = Self.line(octets, place)
                if octets[place] == 13 || octets[place] == 10 {
                    end = place
                    body = line
                    return
                }
                guard take(octets, place..<line) else {
                    isBroken = true
                    break
                }
                place = line
            }
            end = place
            body = place
        }
    }

    /// Names that signatures in it cover (`h=` of RFC 6376 section 3.5), in lower case.
    package func signedNames(in content: ByteBuffer) -> Set<String> {
        var names: Set<String> = []
        for field in fields where field.name == "dkim-signature" {
            let value = content.withUnsafeReadableBytes {
                String(decoding: $0[field.value..<field.range.upperBound], as: UTF8.self)
            }
            for tag in value.split(separator: ";") {
                let parts = tag.split(separator: "=", maxSplits: 1)
                guard parts.count == 2, parts[0].filter({ !$0.isWhitespace }) == "h" else { continue }
                for name in parts[1].split(separator: ":") {
                    names.insert(name.filter { !$0.isWhitespace }.lowercased())
                }
            }
        }
        return names
    }

    private static func line(_ octets: UnsafeRawBufferPointer, _ start: Int) -> Int {
        let feed = octets[start...].firstIndex(of: 10)
        return feed.map { $0 + 1 } ?? octets.count
    }

    private mutating func take(_ octets: UnsafeRawBufferPointer, _ line: Range<Int>) -> Bool {
        if octets[line.lowerBound] == 32 || octets[line.lowerBound] == 9 {
            guard !fields.isEmpty else { return false }
            fields[fields.count - 1].range = fields[fields.count - 1].range.lowerBound..<line.upperBound
            return true
        }
        guard let colon = octets[line].firstIndex(of: 58) else { return false }
        var end = colon
        // White space before the colon is old but read (RFC 5322 section 4.5).
        while end > line.lowerBound, octets[end - 1] == 32 || octets[end - 1] == 9 { end -= 1 }
        let name = octets[line.lowerBound..<end]
        guard !name.isEmpty, name.allSatisfy({ (33...126).contains($0) }) else { return false }
        fields.append(Field(name: String(decoding: name, as: UTF8.self).lowercased(), range: line, value: colon + 1))
        return true
    }
}

/// A header field in the relaxed canonicalization (RFC 6376 section 3.4.2).
enum RelaxedField {
    /// - Parameters:
    ///   - value: what follows the colon, line ends included.
    ///   - ends: with CRLF; a signature's own field has none (RFC 6376 section 3.7).
    static func append(_ name: String, _ value: some Sequence<UInt8>, to output: inout [UInt8], ends: Bool = true) {
        output.append(contentsOf: name.utf8)
        output.append(58)
        var hasSpace = false
        var isEmpty = true
        for octet in value {
            switch octet {
            case 13, 10: break
            case 32, 9: hasSpace = true
            default:
                if hasSpace, !isEmpty { output.append(32) }
                hasSpace = false
                isEmpty = false
                output.append(octet)
            }
        }
        guard ends else { return }
        output.append(13)
        output.append(10)
    }
}
