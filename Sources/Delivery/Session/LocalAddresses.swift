import Glibc
package import Mail
import NIOCore

/// The addresses of this machine's interfaces.
package enum LocalAddresses {
    /// Read from the system; to be asked once, at start. Empty when the system does not tell.
    package static func all() -> Set<IPAddress> {
        var addresses: Set<IPAddress> = []
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return addresses }
        defer { freeifaddrs(list) }
        var next = list
        while let entry = next {
            if let address = entry.pointee.ifa_addr.flatMap({ Self.address(UnsafeRawPointer($0)) }) {
                addresses.insert(address)
            }
            next = entry.pointee.ifa_next
        }
        return addresses
    }

    private static func address(_ raw: UnsafeRawPointer) -> IPAddress? {
        // Families, and where in `sockaddr_in` and `sockaddr_in6` the address lies, are fixed by the system's binary
        // interface.
        switch CInt(raw.loadUnaligned(as: UInt16.self)) {
        case AF_INET: IPAddress(sockaddr4: UnsafeRawBufferPointer(start: raw, count: 16))
        case AF_INET6: IPAddress(sockaddr6: UnsafeRawBufferPointer(start: raw, count: 28))
        default: nil
        }
    }
}

extension SocketAddress {
    /// Nil only if NIO does not take an address of 4 or 16 octets.
    init?(_ address: IPAddress, port: UInt16) {
        var packed = ByteBuffer()
        if let four = address.v4 {
            packed.writeInteger(four)
        } else {
            packed.writeInteger(address.high)
            packed.writeInteger(address.low)
        }
        try? self.init(packedIPAddress: packed, port: Int(port))
    }

    /// What the system will be told, read back; nil for what is no IP address.
    var internet: (address: IPAddress, port: Int)? {
        guard let port else { return nil }
        switch self {
        case .v4(let four): return (withUnsafeBytes(of: four.address) { IPAddress(sockaddr4: $0) }, port)
        case .v6(let six): return (withUnsafeBytes(of: six.address) { IPAddress(sockaddr6: $0) }, port)
        case .unixDomainSocket: return nil
        }
    }
}
