import Crypto

/// SHA-256 of a client's certificate, or of its public key, by which the customer is known that has declared it.
package struct CertificateFingerprint: Sendable, Hashable, CustomStringConvertible {
    private let octets: [UInt8]

    /// How `openssl x509 -noout -sha256 -fingerprint` writes it, and what else is understood.
    package static let shape =
        "a SHA-256 fingerprint such as 8F:43:…:C5, 32 pairs of hexadecimal digits with or without colons"

    /// - Parameter der: the certificate or its SubjectPublicKeyInfo.
    init(of der: [UInt8]) {
        octets = Array(SHA256.hash(data: der))
    }

    /// Reads 32 pairs of hexadecimal digits, with a colon between all of them or none.
    package init?(_ text: String) {
        let digits = Array(text.utf8)
        let step = digits.count == 95 ? 3 : 2
        guard digits.count == 95 || digits.count == 64 else { return nil }
        var octets: [UInt8] = []
        for start in stride(from: 0, to: digits.count, by: step) {
            guard let high = Self.digit(digits[start]), let low = Self.digit(digits[start + 1]) else { return nil }
            if step == 3, start + 2 < digits.count, digits[start + 2] != UInt8(ascii: ":") { return nil }
            octets.append(high << 4 | low)
        }
        self.octets = octets
    }

    /// Why a text is none.
    package static func fault(in text: String) -> String {
        let pairs = text.utf8.filter { $0 != UInt8(ascii: ":") }.count / 2
        let guess = pairs == 20 ? "; it has 20, as SHA-1 makes them" : pairs == 32 ? "" : "; it has \(pairs)"
        return "“\(text.prefix(100))” is not \(shape)\(guess)"
    }

    /// Upper case with colons, as OpenSSL and Postfix write it.
    package var description: String { Self.text(octets) }

    /// Its beginning, enough to tell one from another in a line of the log.
    var brief: String { Self.text(octets.prefix(8)) }

    private static func text(_ octets: some Sequence<UInt8>) -> String {
        octets.map { octet in
            let digits = String(octet, radix: 16, uppercase: true)
            return octet < 16 ? "0" + digits : digits
        }.joined(separator: ":")
    }

    private static func digit(_ octet: UInt8) -> UInt8? {
        switch octet {
        case 48...57: octet - 48
        case 65...70: octet - 55
        case 97...102: octet - 87
        default: nil
        }
    }
}
