import Mail

// Trace events as the history keeps them: the events of one message that were written together share a row, so the
// message's id is not repeated in them.

private let version: UInt8 = 1

extension Packer {
    mutating func events(_ events: [TraceEvent]) {
        byte(version)
        list(events) { packer, event in
            switch event {
            case .accepted(let event): packer.accepted(event)
            case .attempted(let event): packer.attempted(event)
            case .ended(let event): packer.ended(event)
            case .notified(let event): packer.notified(event)
            case .steered(let event): packer.steered(event)
            }
        }
    }

    private mutating func ip(_ address: IPAddress) {
        if let v4 = address.v4 {
            byte(4)
            number(UInt64(v4))
        } else {
            byte(6)
            number(address.high)
            number(address.low)
        }
    }

    private mutating func accepted(_ event: TraceEvent.Acceptance) {
        if let known = event.known {
            byte(7)
            text(known)
        }
        byte(event.screening == nil ? 1 : 6)
        time(event.at)
        text(event.customer)
        ip(event.client)
        text(event.helo)
        optionalText(event.tls)
        path(event.sender)
        list(event.recipients) { $0.address($1) }
        number(UInt64(max(0, event.size)))
        if let screening = event.screening { self.screening(screening) }
    }

    private mutating func screening(_ screening: Screening) {
        text(screening.verdict.rawValue)
        text(screening.action)
        optional(screening.score) { $0.text("\($1)") }
        list(screening.symbols) { $0.text($1) }
        list(screening.changes) { $0.text($1) }
    }

    private mutating func attempted(_ event: TraceEvent.Attempt) {
        byte(2)
        number(event.id)
        time(event.at)
        text(event.site)
        optionalText(event.source)
        optional(event.sourceAddress) { $0.ip($1) }
        optionalText(event.host)
        optional(event.hostAddress) { $0.ip($1) }
        optionalText(event.tls)
        list(event.recipients) { $0.address($1) }
        byte(event.phase.rawValue)
        optional(event.reply) { $0.reply($1) }
        optionalText(event.trouble)
        optionalText(event.cause?.rawValue)
        optionalText(event.rule)
        text(event.decision)
        text(event.why)
        optional(event.next) { $0.time($1) }
    }

    private mutating func ended(_ event: TraceEvent.End) {
        byte(3)
        time(event.at)
        list(event.recipients) { $0.address($1) }
        byte(event.how.rawValue)
        text(event.reason)
    }

    private mutating func notified(_ event: TraceEvent.Notification) {
        byte(4)
        time(event.at)
        number(event.about.value)
        optional(event.notice) { $0.number($1.value) }
        text(event.kind.rawValue)
        optional(event.to) { $0.address($1) }
        list(event.recipients) { $0.address($1) }
        text(event.why)
    }

    private mutating func steered(_ event: TraceEvent.Steered) {
        byte(5)
        time(event.at)
        byte(event.how.rawValue)
        text(event.domain)
        text(event.by)
        text(event.reason)
    }
}

extension Unpacker {
    mutating func events(of message: MessageID) throws(Unreadable) -> [TraceEvent] {
        guard try byte() == version else { throw Unreadable(description: "unknown version of an event") }
        return try list { (unpacker: inout Unpacker) throws(Unreadable) in
            switch try unpacker.byte() {
            case 1: .accepted(try unpacker.accepted(message))
            case 2: .attempted(try unpacker.attempted(message))
            case 3: .ended(try unpacker.ended(message))
            case 4: .notified(try unpacker.notified(message))
            case 5: .steered(try unpacker.steered(message))
            case 6: .accepted(try unpacker.screened(message))
            case 7: .accepted(try unpacker.known(message))
            default: throw Unreadable(description: "unknown kind of event")
            }
        }
    }

    private mutating func ip() throws(Unreadable) -> IPAddress {
        switch try byte() {
        case 4: IPAddress(v4: UInt32(try count(Int(UInt32.max))))
        case 6: IPAddress(high: try number(), low: try number())
        default: throw Unreadable(description: "unknown address family")
        }
    }

    private mutating func optionalIP() throws(Unreadable) -> IPAddress? {
        try optional { (unpacker: inout Unpacker) throws(Unreadable) in try unpacker.ip() }
    }

    private mutating func accepted(_ message: MessageID) throws(Unreadable) -> TraceEvent.Acceptance {
        TraceEvent.Acceptance(
            message: message, at: try time(), customer: try text(), client: try ip(), helo: try text(),
            tls: try optionalText(), sender: try path(), recipients: try addresses(), size: try count(.max))
    }

    /// Of somebody who is not known by an address alone; what follows is as it is for all others.
    private mutating func known(_ message: MessageID) throws(Unreadable) -> TraceEvent.Acceptance {
        let known = try text()
        var event: TraceEvent.Acceptance
        switch try byte() {
        case 1: event = try accepted(message)
        case 6: event = try screened(message)
        default: throw Unreadable(description: "unknown kind of acceptance")
        }
        event.known = known
        return event
    }

    /// Acceptances without a filter are as they were before there was one.
    private mutating func screened(_ message: MessageID) throws(Unreadable) -> TraceEvent.Acceptance {
        var event = try accepted(message)
        let word = try text()
        guard let verdict = Screening.Verdict(rawValue: word) else {
            throw Unreadable(description: "unknown verdict \(word)")
        }
        event.screening = Screening(
            verdict: verdict, action: try text(), score: try optionalText().flatMap { Double($0) },
            symbols: try texts(), changes: try texts())
        return event
    }

    private mutating func texts() throws(Unreadable) -> [String] {
        try list { (unpacker: inout Unpacker) throws(Unreadable) in try unpacker.text() }
    }

    private mutating func attempted(_ message: MessageID) throws(Unreadable) -> TraceEvent.Attempt {
        TraceEvent.Attempt(
            id: try number(), message: message, at: try time(), site: try text(), source: try optionalText(),
            sourceAddress: try optionalIP(), host: try optionalText(), hostAddress: try optionalIP(),
            tls: try optionalText(), recipients: try addresses(), phase: try phase(),
            reply: try optional { (unpacker: inout Unpacker) throws(Unreadable) in try unpacker.reply() },
            trouble: try optionalText(), cause: try optionalText().flatMap { Cause(rawValue: $0) },
            rule: try optionalText(), decision: try text(), why: try text(),
            next: try optional { (unpacker: inout Unpacker) throws(Unreadable) in try unpacker.time() })
    }

    mutating func phase() throws(Unreadable) -> Phase {
        guard let phase = Phase(rawValue: try byte()) else { throw Unreadable(description: "unknown phase") }
        return phase
    }

    private mutating func ended(_ message: MessageID) throws(Unreadable) -> TraceEvent.End {
        let at = try time()
        let recipients = try addresses()
        guard let how = RecipientEnd(rawValue: try byte()) else { throw Unreadable(description: "unknown end") }
        return TraceEvent.End(message: message, at: at, recipients: recipients, how: how, reason: try text())
    }

    private mutating func notified(_ message: MessageID) throws(Unreadable) -> TraceEvent.Notification {
        let at = try time()
        let about = MessageID(value: try number())
        let notice = try optional { (unpacker: inout Unpacker) throws(Unreadable) in
            MessageID(value: try unpacker.number())
        }
        guard let kind = NoticeKind(rawValue: try text()) else { throw Unreadable(description: "unknown notice") }
        let to = try optional { (unpacker: inout Unpacker) throws(Unreadable) in try unpacker.address() }
        return TraceEvent.Notification(
            message: message, at: at, about: about, notice: notice, kind: kind, to: to, recipients: try addresses(),
            why: try text())
    }

    private mutating func steered(_ message: MessageID) throws(Unreadable) -> TraceEvent.Steered {
        let at = try time()
        guard let how = TraceEvent.Steered.How(rawValue: try byte()) else {
            throw Unreadable(description: "unknown kind of steering")
        }
        return TraceEvent.Steered(
            message: message, at: at, how: how, domain: try text(), by: try text(), reason: try text())
    }
}
