import Delivery
import Glibc
import Mail

/// Whether this machine can bind an address, tried without taking a port.
enum SourceBinding {
    /// Those of the sources that may send which this machine cannot bind.
    static func unbound(_ sources: [ExpandedIPMap.Described]) -> [(source: Source, fault: String)] {
        sources.filter(\.state.maySend).compactMap { described in
            fault(described.source.address).map { (described.source, $0) }
        }
    }

    /// nil when it can be bound; else the system's reason.
    static func fault(_ address: IPAddress) -> String? {
        failure(address, port: 0).map { String(cString: strerror($0)) }
    }

    /// nil when it can be bound, as a listener would; else the system's error number.
    static func failure(_ address: IPAddress, port: UInt16) -> Int32? {
        let family = address.isIPv4 ? AF_INET : AF_INET6
        let socket = Glibc.socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { return errno }
        defer { close(socket) }
        var on: Int32 = 1
        // From linux/in.h: with it, checking a /16 takes no ephemeral ports.
        let bindAddressNoPort: Int32 = 24
        setsockopt(socket, Int32(IPPROTO_IP), bindAddressNoPort, &on, socklen_t(MemoryLayout<Int32>.size))
        // What has ended a moment ago still holds its port; what listens there is an error all the same.
        if port != 0 { setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size)) }
        return bind(socket, to: address, port) == 0 ? nil : errno
    }

    private static func bind(_ socket: Int32, to address: IPAddress, _ port: UInt16) -> Int32 {
        if let v4 = address.v4 {
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = port.bigEndian
            name.sin_addr.s_addr = v4.bigEndian
            return withUnsafePointer(to: &name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
        var name = sockaddr_in6()
        name.sin6_family = sa_family_t(AF_INET6)
        name.sin6_port = port.bigEndian
        name.sin6_addr = address.in6
        return withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
            }
        }
    }
}
