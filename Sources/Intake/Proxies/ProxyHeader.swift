import Mail

/// What a load balancer puts before a connection to say whose it is: the PROXY protocol, versions 1 and 2
/// (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt).
enum ProxyHeader: Equatable {
    /// More octets are needed.
    case incomplete
    /// So many octets of header are over; nil: the load balancer speaks for itself (a health check).
    case client(IPAddress?, length: Int)
    case invalid

    /// Section 2.1: the longest line of version 1, with its CRLF.
    private static let longestLine = 107
    /// Section 2.2: addresses take 36 octets; beyond some extensions nobody sends more.
    private static let longestBlock = 4_096
    private static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10]
    private static let word = Array("PROXY ".utf8)

    static func read(_ octets: some RandomAccessCollection<UInt8>) -> ProxyHeader {
        let octets = Array(octets.prefix(16 + longestBlock))
        if isBegin(of: signature, octets) {
            return octets.count < 16 ? .incomplete : binary(octets)
        }
        guard isBegin(of: word, octets) else { return .invalid }
        return line(octets)
    }

    /// Whether they begin with `start`, as far as they go.
    private static func isBegin(of start: [UInt8], _ octets: [UInt8]) -> Bool {
        octets.prefix(start.count).elementsEqual(start.prefix(octets.count))
    }

    /// `PROXY TCP4 192.0.2.1 192.0.2.2 4000 25`
    private static func line(_ octets: [UInt8]) -> ProxyHeader {
        guard let end = octets.prefix(longestLine).firstIndex(of: 10) else {
            return octets.count < longestLine ? .incomplete : .invalid
        }
        guard end > 0, octets[end - 1] == 13, let text = String(validating: octets[..<(end - 1)], as: UTF8.self) else {
            return .invalid
        }
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        if parts.count >= 2, parts[1] == "UNKNOWN" { return .client(nil, length: end + 1) }
        guard parts.count == 6, parts[1] == "TCP4" || parts[1] == "TCP6", let client = IPAddress(parts[2]),
            IPAddress(parts[3]) != nil, client.isIPv4 == (parts[1] == "TCP4"), UInt16(parts[4]) != nil,
            UInt16(parts[5]) != nil
        else { return .invalid }
        return .client(client, length: end + 1)
    }

    /// Section 2.2: signature, version and command, family and transport, length, addresses.
    private static func binary(_ octets: [UInt8]) -> ProxyHeader {
        let length = 16 + Int(octets[14]) << 8 + Int(octets[15])
        guard octets[12] >> 4 == 2, length <= 16 + longestBlock else { return .invalid }
        guard octets.count >= length else { return .incomplete }
        switch octets[12] & 15 {
        case 0: return .client(nil, length: length)
        case 1: break
        default: return .invalid
        }
        let addresses = octets[16..<length]
        switch octets[13] {
        case 0x11:
            guard addresses.count >= 12 else { return .invalid }
            let number = addresses.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            return .client(IPAddress(v4: number), length: length)
        case 0x21:
            guard addresses.count >= 36 else { return .invalid }
            let high = addresses.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let low = addresses.dropFirst(8).prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            return .client(IPAddress(high: high, low: low), length: length)
        case 0: return .client(nil, length: length)
        // UDP and Unix sockets are no clients of ours.
        default: return .invalid
        }
    }
}
