/// Reads the addresses of a From field (RFC 5322 section 3.6.2), however it is written: names, comments, groups, folded
/// lines.
package enum AuthorList {
    /// Addresses of one field.
    private static let limit = 100

    /// - Parameter value: what follows the colon.
    /// - Returns: at least one; nil when it is not understood to the last octet. Who is to be told what a reader sees
    ///   must not guess.
    package static func addresses(_ value: UnsafeRawBufferPointer) -> [Address]? {
        var scan = Scan(bytes: value)
        var addresses: [Address] = []
        while let element = scan.next() {
            guard let octets = element.octets else { return nil }
            // Empty elements of a list are old but read (RFC 5322 section 4.4).
            if octets.isEmpty { continue }
            guard addresses.count < limit, let address = address(octets) else { return nil }
            addresses.append(address)
        }
        return addresses.isEmpty ? nil : addresses
    }

    private static func address(_ octets: [UInt8]) -> Address? {
        octets.withUnsafeBytes { bytes in
            let span = Span<UInt8>(_unsafeBytes: bytes)
            var index = 0
            guard let mailbox = try? AddressGrammar.mailbox(span, &index), index == span.count else { return nil }
            return mailbox.address
        }
    }

    /// Cuts a value into its elements.
    private struct Scan {
        let bytes: UnsafeRawBufferPointer
        private var index = 0
        private var isOver = false

        /// One element: what names its mailbox, without white space and comments; nil when it is broken, empty when
        /// there is none.
        struct Element {
            var octets: [UInt8]?
        }

        init(bytes: UnsafeRawBufferPointer) {
            self.bytes = bytes
        }

        mutating func next() -> Element? {
            guard !isOver else { return nil }
            var plain: [UInt8] = []
            var angle: [UInt8]?
            while index < bytes.count {
                let octet = bytes[index]
                index += 1
                switch octet {
                case UInt8(ascii: ","), UInt8(ascii: ";"): return Element(octets: angle ?? plain)
                case 9, 10, 13, 32: continue
                case UInt8(ascii: "("):
                    guard skipComment() else { return broken() }
                case UInt8(ascii: "<"):
                    guard angle == nil, let inside = inside() else { return broken() }
                    angle = inside
                case UInt8(ascii: ">"), UInt8(ascii: ")"), 0: return broken()
                case UInt8(ascii: ":"):
                    // The name of a group ends; what was read was no address.
                    guard angle == nil, !plain.contains(UInt8(ascii: "@")) else { return broken() }
                    plain = []
                case UInt8(ascii: "\""):
                    guard let text = quoted() else { return broken() }
                    // Behind an address nothing may stand but comments.
                    guard angle == nil else { return broken() }
                    plain += text
                default:
                    guard angle == nil else { return broken() }
                    plain.append(octet)
                }
            }
            isOver = true
            return Element(octets: angle ?? plain)
        }

        private mutating func broken() -> Element {
            isOver = true
            return Element(octets: nil)
        }

        /// RFC 5322 section 3.2.2: they nest.
        private mutating func skipComment() -> Bool {
            var depth = 1
            while index < bytes.count {
                let octet = bytes[index]
                index += 1
                switch octet {
                case UInt8(ascii: "\\"): index += 1
                case UInt8(ascii: "("): depth += 1
                case UInt8(ascii: ")"):
                    depth -= 1
                    if depth == 0 { return true }
                default: continue
                }
            }
            return false
        }

        /// With its quotes.
        private mutating func quoted() -> [UInt8]? {
            var text = [UInt8(ascii: "\"")]
            while index < bytes.count {
                let octet = bytes[index]
                index += 1
                if octet == 13 || octet == 10 { continue }
                text.append(octet)
                if octet == UInt8(ascii: "\"") { return text }
                guard octet == UInt8(ascii: "\\") else { continue }
                guard index < bytes.count else { return nil }
                text.append(bytes[index])
                index += 1
            }
            return nil
        }

        /// Up to the closing bracket; a source route before the mailbox is left out (RFC 5322 section 4.4).
        private mutating func inside() -> [UInt8]? {
            var text: [UInt8] = []
            while index < bytes.count {
                let octet = bytes[index]
                index += 1
                switch octet {
                case UInt8(ascii: ">"): return text.isEmpty ? nil : text
                case 9, 10, 13, 32: continue
                case UInt8(ascii: "("):
                    guard skipComment() else { return nil }
                case UInt8(ascii: "\""):
                    guard let quoted = quoted() else { return nil }
                    text += quoted
                case UInt8(ascii: ":"):
                    guard text.first == UInt8(ascii: "@") else { return nil }
                    text = []
                case UInt8(ascii: "<"), 0: return nil
                default: text.append(octet)
                }
            }
            return nil
        }
    }
}
