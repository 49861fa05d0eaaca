package import Mail

/// One thing that is remembered of the way to a receiver, as the store has it: a hint, which may be lost.
package struct PathRow: Sendable, Hashable {
    package enum Kind: UInt8, Sendable, Hashable, CaseIterable {
        /// A source at a receiver; the key is its address.
        case path = 1
        /// A range at a receiver; the key is its name.
        case range = 2
        /// A greylister's triple; the key is its number.
        case pin = 3
        /// How fast the receiver lets us be.
        case pace = 4
        /// A host; the site is empty, the key its address and port.
        case host = 5
        /// A recipient domain that is kept back because of what an operator said; the site is empty.
        case keptBack = 6
        /// What a customer spoiled; the site is empty, the key its name.
        case burns = 7
        /// Sources that a receiver took mail from.
        case takers = 8
    }

    package var kind: Kind
    package var site: String
    package var key: String
    /// Lines of fields with tabs between them; nil: nothing is remembered any more.
    package var value: String?
    /// Worth nothing after that.
    package var expires: Timestamp

    package init(kind: Kind, site: String, key: String, value: String?, expires: Timestamp) {
        self.kind = kind
        self.site = site
        self.key = key
        self.value = value
        self.expires = expires
    }
}

/// Keeps what the planner remembers of ways, over restarts. Called on the planner's threads: it must not block.
package protocol PathKeeper: AnyObject, Sendable {
    func keep(_ rows: [PathRow])
}

/// Writes and reads the fields of a row.
enum PathFields {
    static func line(_ fields: [String]) -> String {
        fields.map { String($0.map { $0.isNewline || $0 == "\t" ? " " : $0 }) }.joined(separator: "\t")
    }

    static func lines(_ text: String) -> [[String]] {
        text.split(separator: "\n").map { $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init) }
    }
}

extension Timestamp {
    var field: String { String(milliseconds) }

    init?(field: String) {
        // Of a date that anybody could mean; sums with it cannot overflow.
        guard let value = Int64(field), (0...Timestamp.distantFuture.milliseconds).contains(value) else { return nil }
        self.init(milliseconds: value)
    }
}

extension Cooldown {
    static let tag = "cooldown"

    var fields: [String] {
        [Self.tag, String(level), since.field, until.field, cause.rawValue, rule, reply]
    }

    init?(_ fields: [String]) {
        guard fields.count == 7, fields[0] == Self.tag, let level = Int(fields[1]), (1...100).contains(level),
            let since = Timestamp(field: fields[2]), let until = Timestamp(field: fields[3]),
            let cause = Cause(rawValue: fields[4])
        else { return nil }
        self.init(level: level, since: since, until: until, cause: cause, rule: fields[5], reply: fields[6])
    }

    /// A refusal that nobody came back to is forgotten after that.
    var expires: Timestamp { until + .days(7) }
}

extension Pace {
    static let tag = "pace"

    var fields: [String] {
        [
            Self.tag, String(rate), String(sessions), until.field, String(complaints), since.field, String(peak),
            String(peakSessions), moved.field, rule, reply,
        ]
    }

    init?(_ fields: [String]) {
        guard fields.count == 11, fields[0] == Self.tag, let rate = Double(fields[1]), Self.rates.contains(rate),
            let sessions = Int(fields[2]), (1...1_000_000).contains(sessions), let until = Timestamp(field: fields[3]),
            let complaints = Int(fields[4]), (0...1_000).contains(complaints), let since = Timestamp(field: fields[5]),
            let peak = Double(fields[6]), Self.rates.contains(peak), let peakSessions = Int(fields[7]),
            (1...1_000_000).contains(peakSessions), let moved = Timestamp(field: fields[8])
        else { return nil }
        self.init(rate: rate, sessions: sessions, rule: fields[9], reply: fields[10], at: since)
        self.until = until
        self.complaints = complaints
        self.peak = peak
        self.peakSessions = peakSessions
        self.moved = moved
    }

    var expires: Timestamp { max(moved, until) + .days(7) }
}

extension PathMemory {
    var value: String? {
        let lines = [cooldown?.fields, pace?.fields].compactMap(\.self).map(PathFields.line)
        return lines.isEmpty ? nil : lines.joined(separator: "\n")
    }

    init?(value: String) {
        self.init()
        for fields in PathFields.lines(value) {
            if let found = Cooldown(fields) { cooldown = found }
            if let found = Pace(fields) { pace = found }
        }
        if isEmpty { return nil }
    }

    var expires: Timestamp? { [cooldown?.expires, pace?.expires].compactMap(\.self).max() }
}

extension RangeMemory {
    /// Sources that are kept by name; more of them are found again by probes.
    private static let kept = 256

    var value: String? {
        guard isOpen || !refused.isEmpty else { return nil }
        return [
            cooldown?.fields, ["refused"] + refused.map(\.description),
            ["warm"] + warm.prefix(Self.kept).map(\.description),
        ].compactMap(\.self).map(PathFields.line).joined(separator: "\n")
    }

    init?(value: String) {
        self.init()
        for fields in PathFields.lines(value) {
            if let found = Cooldown(fields) { cooldown = found }
            let addresses = Set(fields.dropFirst().prefix(Self.kept).compactMap { IPAddress($0) })
            if fields.first == "refused" { refused = addresses }
            if fields.first == "warm" { warm = addresses }
        }
        if !isOpen, refused.isEmpty { return nil }
    }

    func expires(at now: Timestamp) -> Timestamp { cooldown?.expires ?? now + .days(1) }
}

extension Pin {
    var value: String { PathFields.line([source.description, passed ? "passed" : "new"]) }

    init?(value: String, expires: Timestamp) {
        guard let fields = PathFields.lines(value).first, fields.count == 2, let source = IPAddress(fields[0]) else {
            return nil
        }
        self.init(source: source, expires: expires, passed: fields[1] == "passed")
    }
}

extension HostPlace {
    var key: String { "\(address) \(port)" }

    init?(key: String) {
        let parts = key.split(separator: " ")
        guard parts.count == 2, let address = IPAddress(parts[0]), let port = Int(parts[1]), (1...65_535).contains(port)
        else { return nil }
        self.init(address: address, port: port)
    }
}

extension HostMemory {
    func value(at now: Timestamp) -> String? {
        guard !isOver(at: now) else { return nil }
        var lines = [["rests", rests?.field ?? "", String(failures)], ["clear", withoutTLS?.field ?? ""]]
        if let offers {
            lines.append([
                "offers", offers.until.field, String(offers.0.utf8), String(offers.0.eightBit),
                offers.0.size.map(String.init) ?? "",
            ])
        }
        return lines.map(PathFields.line).joined(separator: "\n")
    }

    init?(value: String, at now: Timestamp) {
        self.init()
        for fields in PathFields.lines(value) where fields.count >= 2 {
            switch fields[0] {
            case "rests" where fields.count == 3:
                rests = Timestamp(field: fields[1])
                failures = min(max(0, Int(fields[2]) ?? 0), 1_000)
            case "clear": withoutTLS = Timestamp(field: fields[1])
            case "offers" where fields.count == 5:
                guard let until = Timestamp(field: fields[1]) else { continue }
                let size = Int(fields[4]).flatMap { $0 >= 0 ? $0 : nil }
                offers = (
                    HostOffers(utf8: fields[2] == "true", eightBit: fields[3] == "true", size: size), until: until
                )
            default: break
            }
        }
        if isOver(at: now) { return nil }
    }

    var expires: Timestamp? { [rests, withoutTLS, offers?.until].compactMap(\.self).max() }
}
