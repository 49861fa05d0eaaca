import Crypto
import CryptoExtras
import Foundation

/// A private key that signs for a domain, and never shows itself.
package struct SigningKey: Sendable {
    package enum Algorithm: String, Sendable, Hashable, CaseIterable {
        /// RFC 8301: 2048 bits here, the least that it recommends.
        case rsa
        /// RFC 8463.
        case ed25519

        /// As `a=` names it.
        package var tag: String { self == .rsa ? "rsa-sha256" : "ed25519-sha256" }
    }

    private enum Secret: Sendable {
        case rsa(_RSA.Signing.PrivateKey)
        case ed25519(Curve25519.Signing.PrivateKey)
    }

    private let secret: Secret

    /// Makes a new key.
    ///
    /// - Throws: what the library throws where the system has no randomness.
    package init(making algorithm: Algorithm) throws {
        secret =
            switch algorithm {
            case .rsa: .rsa(try _RSA.Signing.PrivateKey(keySize: .bits2048))
            case .ed25519: .ed25519(Curve25519.Signing.PrivateKey())
            }
    }

    /// - Parameter pem: PKCS #8 of either kind, or PKCS #1 of RSA; not encrypted.
    /// - Throws: ``Unusable``, which says nothing of the key itself.
    package init(pem: String) throws(Unusable) {
        if let octets = Self.ed25519(pem) {
            guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: octets) else {
                throw Unusable(why: "it is no Ed25519 key")
            }
            secret = .ed25519(key)
            return
        }
        guard let key = try? _RSA.Signing.PrivateKey(unsafePEMRepresentation: pem) else {
            throw Unusable(why: "it is neither an RSA nor an Ed25519 private key in PEM, or it is encrypted")
        }
        guard (2_048...4_096).contains(key.keySizeInBits) else {
            throw Unusable(
                why: "its RSA key has \(key.keySizeInBits) bits; 2048 to 4096 will do (RFC 8301 section 3.2)")
        }
        secret = .rsa(key)
    }

    package struct Unusable: Error, Sendable, Hashable, CustomStringConvertible {
        package var why: String
        package var description: String { why }
    }

    package var algorithm: Algorithm {
        switch secret {
        case .rsa: .rsa
        case .ed25519: .ed25519
        }
    }

    /// For its file, and for nothing else.
    package var pem: String {
        switch secret {
        case .rsa(let key): return key.pkcs8PEMRepresentation + "\n"
        case .ed25519(let key):
            let body = Base64.text(Self.ed25519Prefix + Array(key.rawRepresentation))
            return "-----BEGIN PRIVATE KEY-----\n\(body)\n-----END PRIVATE KEY-----\n"
        }
    }

    /// The value of its TXT record (RFC 6376 section 3.6.1, RFC 8463 section 4).
    package var record: String {
        switch secret {
        case .rsa(let key): "v=DKIM1; k=rsa; p=\(Base64.text(Array(key.publicKey.derRepresentation)))"
        case .ed25519(let key): "v=DKIM1; k=ed25519; p=\(Base64.text(Array(key.publicKey.rawRepresentation)))"
        }
    }

    /// Characters of a signature in base64.
    package var signatureLength: Int {
        switch secret {
        case .rsa(let key): (key.keySizeInBits + 7) / 8 / 3 * 4 + ((key.keySizeInBits + 7) / 8 % 3 == 0 ? 0 : 4)
        case .ed25519: 88
        }
    }

    /// The signature of canonical header fields, in base64. RSA takes half a millisecond and more: not on an event
    /// loop.
    package func signature(of header: [UInt8]) throws -> String {
        let digest = SHA256.hash(data: header)
        let octets: Data =
            switch secret {
            case .rsa(let key): try key.signature(for: digest, padding: .insecurePKCS1v1_5).rawRepresentation
            case .ed25519(let key): try key.signature(for: Data(digest))
            }
        return Base64.text(Array(octets))
    }

    /// PKCS #8 around 32 octets (RFC 8410 section 7).
    private static let ed25519Prefix: [UInt8] = [
        0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
    ]

    private static func ed25519(_ pem: String) -> [UInt8]? {
        let lines = pem.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
        guard let begin = lines.firstIndex(of: "-----BEGIN PRIVATE KEY-----"),
            let end = lines.firstIndex(of: "-----END PRIVATE KEY-----"), begin < end,
            let octets = Base64.octets(lines[(begin + 1)..<end].joined()),
            octets.count == ed25519Prefix.count + 32, octets.starts(with: ed25519Prefix)
        else { return nil }
        return Array(octets.suffix(32))
    }
}
