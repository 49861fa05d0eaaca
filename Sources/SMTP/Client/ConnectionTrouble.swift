import Glibc
import NIOCore
import NIOSSL

/// What broke a connection, in the few words that a trace has room for.
package enum ConnectionTrouble {
    package static func text(_ error: any Error) -> String {
        if let error = error as? IOError { return text(error) }
        guard let error = error as? NIOSSLError else { return "\(error)" }
        // Somewhere in BoringSSL's words stands the reason: `…:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED at …`.
        let words = "\(error)"
        if case .uncleanShutdown = error { return "the host closed the connection" }
        guard case .handshakeFailed = error, let start = words.firstRange(of: "OPENSSL_internal:")?.upperBound else {
            return words
        }
        return "TLS handshake failed: " + words[start...].prefix { $0.isLetter || $0.isNumber || $0 == "_" }
    }

    private static func text(_ error: IOError) -> String {
        switch error.errnoCode {
        case ECONNREFUSED: "connection refused"
        case ECONNRESET, EPIPE: "the host reset the connection"
        case ETIMEDOUT: "connection timed out"
        case EHOSTUNREACH: "no route to the host"
        case ENETUNREACH: "no route to the network"
        case EADDRNOTAVAIL: "address not available"
        case EMFILE, ENFILE: "out of file descriptors"
        default: error.description
        }
    }
}
