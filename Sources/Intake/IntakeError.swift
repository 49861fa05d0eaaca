/// Why receiving could not be set up, in words for the operator.
package enum IntakeError: Error, Hashable, CustomStringConvertible {
    case cannotBind(address: String, port: Int, reason: String)
    case certificate(file: String, reason: String)
    case certificateMissing(address: String, port: Int)

    package var description: String {
        switch self {
        case .cannotBind(let address, let port, let reason): "cannot listen on \(address) port \(port): \(reason)"
        case .certificate(let file, let reason): "certificate \(file): \(reason)"
        case .certificateMissing(let address, let port):
            "the listener on \(address) port \(port) has TLS, but no certificate is configured"
        }
    }
}
