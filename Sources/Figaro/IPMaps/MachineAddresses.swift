import Glibc
import Mail

/// The addresses that this machine's interfaces have.
enum MachineAddresses {
    struct Entry: Hashable {
        var interface: String
        var address: IPAddress
    }

    /// Of interfaces that are up, without link-local addresses, which no mail leaves from.
    static func all() -> [Entry] {
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return [] }
        defer { freeifaddrs(first) }
        var entries: [Entry] = []
        for pointer in sequence(first: first, next: { $0?.pointee.ifa_next }) {
            guard let entry = pointer?.pointee, entry.ifa_flags & UInt32(IFF_UP) != 0,
                let socketAddress = entry.ifa_addr, let address = address(of: socketAddress), !isLinkLocal(address)
            else { continue }
            entries.append(Entry(interface: String(cString: entry.ifa_name), address: address))
        }
        return entries
    }

    /// The addresses of one interface, lowest first.
    static func of(interface: String) -> [IPAddress] {
        Array(Set(all().filter { $0.interface == interface }.map(\.address))).sorted()
    }

    /// Every global address of the machine. Behind a translator there is none of IPv4: then the address that the
    /// primary route uses; and on a machine with loopback only, 127.0.0.1, so that a first start works anywhere.
    static func any() -> [IPAddress] {
        let global = Set(all().map(\.address).filter(isGlobal)).sorted()
        if global.contains(where: \.isIPv4) { return global }
        if let primary = primaryIPv4() { return [primary] + global }
        return global.isEmpty ? [IPAddress(v4: 0x7F00_0001)] : global
    }

    /// What the kernel would choose towards the world; asks the routing table and sends nothing.
    private static func primaryIPv4() -> IPAddress? {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        guard socket >= 0 else { return nil }
        defer { close(socket) }
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = in_port_t(25).bigEndian
        // TEST-NET-1 (RFC 5737 section 3): routed like the rest of the world, and nobody's.
        target.sin_addr.s_addr = UInt32(0xC000_0201).bigEndian
        let connected = withUnsafePointer(to: &target) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { return nil }
        var own = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let named = withUnsafeMutablePointer(to: &own) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &length) }
        }
        guard named == 0 else { return nil }
        let address = IPAddress(v4: UInt32(bigEndian: own.sin_addr.s_addr))
        return address.isLoopback || address.v4 == 0 ? nil : address
    }

    private static func address(of pointer: UnsafeMutablePointer<sockaddr>) -> IPAddress? {
        switch Int32(pointer.pointee.sa_family) {
        case AF_INET:
            pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                IPAddress(v4: UInt32(bigEndian: $0.pointee.sin_addr.s_addr))
            }
        case AF_INET6:
            pointer.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { IPAddress($0.pointee.sin6_addr) }
        default: nil
        }
    }

    private static func isLinkLocal(_ address: IPAddress) -> Bool {
        networks(["169.254.0.0/16", "fe80::/10"]).contains { $0.contains(address) }
    }

    /// Neither loopback nor private (RFC 1918 section 3, RFC 4193 section 3.1, RFC 6598 section 7).
    private static func isGlobal(_ address: IPAddress) -> Bool {
        !networks([
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::/127",
            "fc00::/7",
        ]).contains { $0.contains(address) }
    }

    private static func networks(_ texts: [String]) -> [IPNetwork] {
        texts.compactMap { IPNetwork($0) }
    }
}
