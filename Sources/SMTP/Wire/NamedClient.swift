package import Mail

/// For whom a load balancer speaks, as it says with XCLIENT (https://www.postfix.org/XCLIENT_README.html).
package struct NamedClient: Hashable, Sendable {
    package enum Place: Hashable, Sendable {
        case at(IPAddress)
        /// The load balancer does not know it either.
        case unknown
    }

    /// nil: the session's is kept.
    package var place: Place?
    /// The name that somebody has found for the address; nil where there is none.
    package var name: String?
    /// 1 to 65,535.
    package var port: UInt16?
    /// What the client has called itself, held to what may stand in a header.
    package var hello: String?
    /// It has said EHLO; nil where that was not said.
    package var extended: Bool?
    /// The user that has proved at the load balancer who it is.
    package var login: String?

    package init() {}
}

/// Reads XCLIENT. DESTADDR and DESTPORT are read and mean nothing: we have one face.
enum NamingParser {
    /// - Returns: nil when it cannot be understood: an attribute that is unknown, comes twice or has no such value.
    static func xclient(_ line: Span<UInt8>, _ argument: Range<Int>) -> NamedClient? {
        let octets = line.extracting(argument).withUnsafeBufferPointer { Array($0) }
        var client = NamedClient()
        var seen: Set<String> = []
        for word in octets.split(separator: 32) {
            guard let equals = word.firstIndex(of: UInt8(ascii: "=")) else { return nil }
            let attribute = String(decoding: word[..<equals], as: UTF8.self).uppercased()
            guard let value = Xtext.decode(word[(equals + 1)...]), !value.isEmpty,
                seen.insert(attribute).inserted, read(attribute, value, &client)
            else { return nil }
        }
        return seen.isEmpty ? nil : client
    }

    /// - Returns: whether it was understood.
    private static func read(_ attribute: String, _ value: String, _ client: inout NamedClient) -> Bool {
        let isKnown = !["[UNAVAILABLE]", "[TEMPUNAVAIL]"].contains(value.uppercased())
        switch attribute {
        case "ADDR":
            client.place = isKnown ? address(value).map { .at($0) } : .unknown
            return client.place != nil
        case "NAME": return set(&client.name, isKnown, isName(value) ? value : nil)
        case "PORT": return set(&client.port, isKnown, port(value))
        case "HELO": return set(&client.hello, isKnown, isName(value) ? value : nil)
        case "PROTO": return set(&client.extended, isKnown, isExtended(value))
        case "LOGIN": return set(&client.login, isKnown, value.utf8.count <= 255 ? value : nil)
        case "DESTADDR": return !isKnown || address(value) != nil
        case "DESTPORT": return !isKnown || port(value) != nil
        default: return false
        }
    }

    private static func set<Value>(_ place: inout Value?, _ isKnown: Bool, _ value: Value?) -> Bool {
        guard isKnown else { return true }
        place = value
        return value != nil
    }

    /// `192.0.2.1` or `IPV6:2001:db8::1`.
    private static func address(_ text: String) -> IPAddress? {
        guard text.prefix(5).uppercased() == "IPV6:" else {
            return IPAddress(text).flatMap { $0.isIPv4 && !text.contains(":") ? $0 : nil }
        }
        return text.dropFirst(5).contains(":") ? IPAddress(text.dropFirst(5)) : nil
    }

    private static func port(_ text: String) -> UInt16? {
        guard text.utf8.count <= 5, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return UInt16(text).flatMap { $0 > 0 ? $0 : nil }
    }

    private static func isExtended(_ text: String) -> Bool? {
        switch text.uppercased() {
        case "SMTP": false
        case "ESMTP": true
        default: nil
        }
    }

    private static func isName(_ text: String) -> Bool {
        (1...255).contains(text.utf8.count) && text.utf8.allSatisfy(CommandParser.standsInName)
    }
}
