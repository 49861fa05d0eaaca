import Mail

/// `out-{4}.vienna.relay.example`: the name that each address of a range gives itself in EHLO.
struct EHLOTemplate: Hashable {
    private enum Piece: Hashable {
        case text(String)
        /// 1 to 4.
        case octet(Int)
        case dashed
        case index
    }

    private var pieces: [Piece] = []

    /// - Parameter isIPv4: nil where the family is not known before the machine is asked.
    static func decode(_ field: Field, isIPv4: Bool?) -> EHLOTemplate? {
        guard let text = field.string("an EHLO name such as out-{4}.relay.example") else { return nil }
        var template = EHLOTemplate()
        var rest = text[...]
        while let open = rest.firstIndex(of: "{") {
            guard let close = rest[open...].firstIndex(of: "}") else {
                field.complain("“{” without “}” in “\(text)”")
                return nil
            }
            template.pieces.append(.text(String(rest[..<open])))
            let name = String(rest[rest.index(after: open)..<close])
            guard let piece = piece(name) else {
                field.complain("{\(name)} is none of {1}, {2}, {3}, {4} (octets), {dashed} and {index}")
                return nil
            }
            if case .octet = piece, isIPv4 == false {
                field.complain("{\(name)} is an octet of an IPv4 address; use {index} or {dashed} for IPv6")
                return nil
            }
            template.pieces.append(piece)
            rest = rest[rest.index(after: close)...]
        }
        template.pieces.append(.text(String(rest)))
        // A sample tells about the literal parts; each expanded name is checked again.
        if let fault = HostName.fault(in: template.name(for: IPAddress(v4: 0x7F00_0001), index: 1)) {
            field.complain("“\(text)” does not give valid host names: \(fault)")
            return nil
        }
        return template
    }

    private static func piece(_ name: String) -> Piece? {
        switch name {
        case "1", "2", "3", "4": Int(name).map { .octet($0) }
        case "dashed": .dashed
        case "index": .index
        default: nil
        }
    }

    /// Octets of an IPv6 address are left out; ``decode(_:isIPv4:)`` refuses templates that ask for them.
    func name(for address: IPAddress, index: Int) -> String {
        pieces.map { piece in
            switch piece {
            case .text(let text): text
            case .octet(let number): address.v4.map { String($0 >> UInt32(8 * (4 - number)) & 255) } ?? ""
            case .dashed: Self.dashed(address)
            case .index: String(index)
            }
        }.joined().lowercased()
    }

    /// `203-0-113-17`, or all eight groups of an IPv6 address: `2001-db8-0-0-0-0-0-1`.
    private static func dashed(_ address: IPAddress) -> String {
        if address.isIPv4 { return address.description.split(separator: ".").joined(separator: "-") }
        return [address.high, address.low].flatMap { word in
            stride(from: 48, through: 0, by: -16).map { String(word >> UInt64($0) & 0xFFFF, radix: 16) }
        }.joined(separator: "-")
    }
}
