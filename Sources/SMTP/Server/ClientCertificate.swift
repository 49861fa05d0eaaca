import NIOSSL

/// The certificate that a client has shown in a TLS handshake, and has proved to have the key of. Who signed it, for
/// which name and until when says nothing here: a customer is known by what was declared of it.
package struct ClientCertificate: Sendable, Hashable {
    /// The certificate, in DER.
    package let octets: [UInt8]
    /// Its SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), in DER.
    package let publicKey: [UInt8]

    package init(octets: [UInt8], publicKey: [UInt8]) {
        self.octets = octets
        self.publicKey = publicKey
    }

    /// - Returns: nil when it cannot be written down again, and then nobody is known by it.
    init?(_ shown: NIOSSLCertificate) {
        guard let octets = try? shown.toDERBytes(), let publicKey = try? shown.extractPublicKey().toSPKIBytes() else {
            return nil
        }
        self.init(octets: octets, publicKey: publicKey)
    }
}
