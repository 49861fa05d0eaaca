import Mail
import SMTP

/// Where a session's client is: what its connection shows, or a load balancer says.
struct ClientPlace: Sendable {
    let address: IPAddress
    /// false: the load balancer does not know it either; `address` is 0.0.0.0 then, which no customer has.
    let isKnown: Bool
    /// What a load balancer has found for the address.
    let name: String?
    /// Of the client's end, where a load balancer says it.
    let port: UInt16?
    /// As `Received` has it (RFC 5321 section 4.4); written once a session, used in every message.
    let text: String

    /// - Parameter address: nil where nobody knows it.
    init(_ address: IPAddress?, name: String? = nil, port: UInt16? = nil) {
        self.address = address ?? IPAddress(v4: 0)
        isKnown = address != nil
        self.name = name
        self.port = port
        let literal = address.map { $0.isIPv4 ? "[\($0)]" : "[IPv6:\($0)]" }
        let words = [name, literal].compactMap(\.self)
        text = words.isEmpty ? "unknown" : words.joined(separator: " ")
    }

    /// What XCLIENT changes of it.
    func moved(to named: NamedClient) -> ClientPlace {
        switch named.place {
        case .at(let address): ClientPlace(address, name: named.name, port: named.port)
        case .unknown: ClientPlace(nil, name: named.name, port: named.port)
        case nil: ClientPlace(isKnown ? address : nil, name: named.name ?? name, port: named.port ?? port)
        }
    }
}
