import NIOCore
package import NIOSSL

/// What a connection does about TLS, with what it needs for it.
package enum ClientTLS: Sendable {
    case never
    /// STARTTLS where offered, without checking the certificate (RFC 7435 section 4.1).
    case ifOffered(NIOSSLContext)
    /// A certificate that is verified by this context, or no session.
    case always(NIOSSLContext)
    /// The same, but before the host has said a word.
    case fromTheStart(NIOSSLContext)

    /// Takes every certificate, and every version that is better than nothing.
    package static func unverified() throws -> ClientTLS {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        configuration.minimumTLSVersion = .tlsv1
        return .ifOffered(try NIOSSLContext(configuration: configuration))
    }

    /// Verifies chain and host name.
    package static func verified(by roots: NIOSSLTrustRoots) throws -> ClientTLS {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = roots
        configuration.minimumTLSVersion = .tlsv12
        return .always(try NIOSSLContext(configuration: configuration))
    }

    /// As verified, but for a port where TLS comes first (RFC 8314 section 3.3).
    package var fromTheStart: ClientTLS {
        if case .always(let context) = self { .fromTheStart(context) } else { self }
    }

    var secrecy: ClientMachine.Secrecy {
        switch self {
        case .never: .never
        case .ifOffered: .ifOffered
        case .always: .always
        case .fromTheStart: .fromTheStart
        }
    }

    /// The handler that speaks TLS with this host; throws when there cannot be one.
    func handler(host: String) throws -> NIOSSLClientHandler? {
        switch self {
        case .never: return nil
        case .ifOffered(let context), .always(let context), .fromTheStart(let context):
            do {
                return try NIOSSLClientHandler(context: context, serverHostname: host)
            } catch let error as NIOSSLExtraError where [.cannotUseIPAddressInSNI, .invalidSNIHostname].contains(error)
            {
                // An address cannot be named in SNI (RFC 6066 section 3); its certificate is checked against the
                // address.
                return try NIOSSLClientHandler(context: context, serverHostname: nil)
            }
        }
    }
}

extension TLSVersion {
    var name: String {
        switch self {
        case .tlsv1: "TLSv1"
        case .tlsv11: "TLSv1.1"
        case .tlsv12: "TLSv1.2"
        case .tlsv13: "TLSv1.3"
        }
    }
}
