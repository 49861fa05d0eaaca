import Mail

/// A server that questions are forwarded to: `192.0.2.53`, `127.0.0.1:5353`, `2001:db8::53` or `[::1]:5353`.
struct NameServer: Hashable, Sendable {
    let address: IPAddress
    /// 1 to 65,535; 53 unless said otherwise.
    let port: UInt16

    /// nil when the text is none of these forms.
    init?(_ text: String) {
        if let address = IPAddress(text) {
            self.address = address
            self.port = 53
            return
        }
        guard let colon = text.lastIndex(of: ":") else { return nil }
        var host = text[..<colon]
        var portText: Substring? = text[text.index(after: colon)...]
        if text.hasPrefix("[") {
            if text.hasSuffix("]") {
                host = text[...]
                portText = nil
            }
            guard host.hasPrefix("["), host.hasSuffix("]"), host.contains(":") else { return nil }
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard let address = IPAddress(host), let port = Self.port(portText) else { return nil }
        self.address = address
        self.port = port
    }

    private static func port(_ text: Substring?) -> UInt16? {
        guard let text else { return 53 }
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return UInt16(text).flatMap { $0 == 0 ? nil : $0 }
    }

    /// As libunbound reads it: `127.0.0.1@5353`.
    var forwardAddress: String { "\(address)@\(port)" }
}
