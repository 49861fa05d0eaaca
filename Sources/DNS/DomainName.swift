import CIDN

/// A domain name the way DNS compares it: lower-case ASCII labels, without the final dot.
package struct DomainName: Hashable, Sendable, CustomStringConvertible {
    /// 1 to 253 bytes of letters, digits, hyphens, underscores and dots.
    package let text: String

    package var description: String { text }

    /// Reads the domain of an address, U-labels (RFC 5890 section 2.3.2.1) included; nil when no host can have this
    /// name.
    ///
    /// Hyphens at the ends of a label and underscores are let through: such names exist and work. A last label of
    /// digits is refused: that is an address without its brackets, never a domain.
    package init?(_ domain: String) {
        // 1,000 bytes hold every U-label form of a name of 253; more is not worth converting.
        guard domain.utf8.count <= 1_000, !domain.utf8.contains(0) else { return nil }
        if domain.utf8.allSatisfy({ $0 < 128 }) {
            self.init(ascii: domain.lowercased())
        } else {
            guard let converted = Self.aLabels(domain) else { return nil }
            self.init(ascii: converted.lowercased())
        }
    }

    private init?(ascii: String) {
        let name = ascii.hasSuffix(".") ? String(ascii.dropLast()) : ascii
        guard (1...253).contains(name.utf8.count) else { return nil }
        var numeric = false
        for label in name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
            guard (1...63).contains(label.count), label.allSatisfy(Self.isNameByte) else { return nil }
            numeric = label.allSatisfy { (48...57).contains($0) }
        }
        guard !numeric else { return nil }
        self.text = name
    }

    /// Names that mean the machine itself (RFC 6761 section 6.3), wherever they are looked up.
    package var isLocal: Bool {
        text == "localhost" || text.hasSuffix(".localhost") || text == "localdomain" || text.hasSuffix(".localdomain")
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
            UInt8(ascii: "_"):
            true
        default: false
        }
    }

    /// RFC 5891 section 5, by libidn2; nil when a label is not a valid U-label.
    private static func aLabels(_ domain: String) -> String? {
        var name: UnsafeMutablePointer<UInt8>?
        let flags = Int32(bitPattern: IDN2_NFC_INPUT.rawValue | IDN2_NONTRANSITIONAL.rawValue)
        let code = domain.withCString { text in
            text.withMemoryRebound(to: UInt8.self, capacity: domain.utf8.count + 1) { idn2_lookup_u8($0, &name, flags) }
        }
        guard code == IDN2_OK.rawValue, let name else { return nil }
        defer { idn2_free(name) }
        return String(cString: name)
    }
}
