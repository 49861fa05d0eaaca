import DNS
import Mail
import Queue

/// What a refusal of our address, and an acceptance after one, mean for the way there.
extension Planner {
    /// Long enough for a reason, short enough that many of them cost little.
    static let keptReply = 200

    /// The one that a site's hosts belong to.
    mutating func receiver(of key: SiteKey, host: String?) -> Receiver {
        let name = receiverName(of: key, host: host)
        if let known = receivers[name] { return known }
        let receiver = Receiver(name: name)
        receivers[name] = receiver
        return receiver
    }

    /// A rule for a recipient domain limits that domain; who takes its mail is still the provider.
    func receiverName(of key: SiteKey, host: String?) -> String {
        let host = host ?? key.hosts
        if let provider = table.rules.provider(host: host) { return provider.name }
        return key.port == configuration.port ? host : "\(host):\(key.port)"
    }

    /// The receiver refused the source: the path rests, and the range with it where the refusal is about the range, or
    /// one too many of its sources was refused.
    mutating func cool(_ session: OpenSession, _ answer: PhaseAnswer, _ reading: Reading?) {
        let receiver = session.receiver
        let source = session.plan.source
        let refusal = Refused(
            cause: reading?.cause ?? .source, rule: reading?.rule ?? "", reply: firstLine(answer), hold: reading?.hold)
        retireSessions(of: session)
        let schedule = table.cooldown(of: session.source) ?? configuration.cooldown
        let old = receiver.paths[source.address]?.cooldown
        // Sessions that were opened together are refused together: that is one refusal.
        if (old?.until ?? now) <= now {
            let cooldown = cooldown(after: old, refusal, schedule)
            changePath(of: session) { $0.cooldown = cooldown }
        }
        var range = receiver.ranges[source.range] ?? RangeMemory()
        range.warm.remove(source.address)
        if refusal.cause == .range {
            if range.until <= now { range.cooldown = cooldown(after: range.cooldown, refusal, schedule) }
            range.warm = []
        } else {
            note(refusal, of: source, in: &range, at: receiver)
        }
        receiver.ranges[source.range] = range
        noteChange(.range(source.range), receiver)
    }

    /// Changes what is known of the session's path, and remembers it.
    mutating func changePath(of session: OpenSession, _ change: (inout PathMemory) -> Void) {
        let receiver = session.receiver
        let address = session.plan.source.address
        var path = receiver.paths[address] ?? begunPath(of: session)
        change(&path)
        receiver.paths[address] = path.isEmpty ? nil : path
        noteChange(.path(address), receiver)
    }

    /// Sessions are counted from here on; those that are open are looked for.
    func begunPath(of session: OpenSession) -> PathMemory {
        let open = sessions.values.count { $0.source == session.source && $0.receiver === session.receiver }
        return PathMemory(sessions: open)
    }

    private struct Refused {
        var cause: Cause
        var rule: String
        var reply: String
        var hold: Timestamp.Span?
    }

    func firstLine(_ answer: PhaseAnswer) -> String {
        let line = answer.said.split(separator: "\n", maxSplits: 1).first.map(String.init) ?? ""
        return String(line.prefix(Self.keptReply))
    }

    private mutating func cooldown(after old: Cooldown?, _ refusal: Refused, _ schedule: [Timestamp.Span]) -> Cooldown {
        let level = min((old?.level ?? 0) + 1, max(1, schedule.count))
        let step = level <= schedule.count ? schedule[level - 1] : .minutes(30)
        // What the reply names counts the first time; one that keeps refusing is left alone for longer.
        let span = refusal.hold.map { level > 1 ? max($0, step) : $0 } ?? spread(step)
        return Cooldown(
            level: level, since: now, until: now + span, cause: refusal.cause, rule: refusal.rule, reply: refusal.reply)
    }

    /// What rests together does not come back together.
    private mutating func spread(_ span: Timestamp.Span) -> Timestamp.Span {
        let factor = 1 + configuration.jitter * Double.random(in: -1...1, using: &random)
        return Timestamp.Span(milliseconds: Int64(min(max(1, Double(span.milliseconds) * factor), 1e15)))
    }

    /// Counts towards the breaker; one that is open by itself stays so, and what was learned meanwhile counts.
    private mutating func note(
        _ refusal: Refused, of source: Source, in range: inout RangeMemory, at receiver: Receiver
    ) {
        if var open = range.cooldown {
            open.level = min(open.level + 1, RangeMemory.highest)
            range.cooldown = open
            return
        }
        range.refused.insert(source.address)
        guard range.refused.count >= max(2, configuration.rangeBreaker) else { return }
        range.refused = []
        range.cooldown = Cooldown(
            level: 1, since: now, until: now, cause: .range, rule: "breaker",
            reply: "\(configuration.rangeBreaker) of its sources were refused in a row, the last one: \(refusal.reply)")
        log(.breakerOpened, receiver, source.range, refusal.reply)
    }

    /// A message was refused because of the source: what else would go from it goes from others.
    private mutating func retireSessions(of refused: OpenSession) {
        refused.isRetired = true
        for session in refused.site.idle where session.source == refused.source && session !== refused {
            close(session)
        }
    }

    /// The receiver took a message from the source.
    mutating func warm(_ session: OpenSession) {
        let receiver = session.receiver
        guard !receiver.isBlank else { return }
        receiver.pace?.took()
        let source = session.plan.source
        if let cooldown = receiver.paths[source.address]?.cooldown {
            let eased = cooldown.eased(at: now)
            changePath(of: session) { $0.cooldown = eased }
        }
        receiver.paths[source.address]?.pace?.took()
        guard var range = receiver.ranges[source.range] else { return }
        var isChanged = !range.refused.isEmpty
        range.refused = []
        if range.isOpen {
            isChanged = range.warm.insert(source.address).inserted || isChanged || session.isProbe
            if session.isProbe { range.cooldown = range.cooldown?.eased(at: now) }
            if !range.isOpen { reopen(receiver, source.range) }
        }
        guard isChanged else { return }
        receiver.ranges[source.range] = range
        noteChange(.range(source.range), receiver)
        forget(range, source.range, of: receiver)
    }

    /// Nothing is remembered of a range that nothing is known of.
    private func forget(_ range: RangeMemory, _ name: String, of receiver: Receiver) {
        guard !range.isOpen, range.refused.isEmpty, range.probe == nil, receiver.paths.isEmpty else { return }
        receiver.ranges[name] = nil
    }

    // MARK: Probes

    /// Whether a session from the source would be a probe: the one of its range, with one message.
    func isProbe(_ source: Source, at receiver: Receiver) -> Bool { receiver.standing(of: source, at: now) == .probe }

    mutating func beginProbe(_ session: OpenSession) {
        let receiver = session.receiver
        session.isProbe = true
        session.site.probes += 1
        receiver.ranges[session.plan.source.range, default: RangeMemory()].probe = session.id
        receiver.ranges[session.plan.source.range]?.nextProbe = now + configuration.probeInterval
    }

    /// The probe's session is gone, whatever came of it.
    mutating func endProbe(_ session: OpenSession) {
        guard session.isProbe else { return }
        let receiver = session.receiver
        session.site.probes -= 1
        let name = session.plan.source.range
        guard receiver.ranges[name]?.probe == session.id else { return }
        receiver.ranges[name]?.probe = nil
        if let range = receiver.ranges[name] { forget(range, name, of: receiver) }
    }

    /// When a site that found no source may look again: of many that wait for one receiver's probe each has its turn.
    mutating func turn(of site: Site, notBefore soonest: Timestamp) -> Timestamp {
        let receiver = site.receiver
        guard receiver.ranges.values.contains(where: \.isOpen) else { return soonest }
        let last = min(receiver.lastTurn + configuration.probeInterval, now + Self.longestTurn)
        receiver.lastTurn = max(soonest, last)
        return receiver.lastTurn
    }

    private static let longestTurn = Timestamp.Span.minutes(30)

    /// The receiver takes the range again: what waits for it goes now.
    private mutating func reopen(_ receiver: Receiver, _ range: String) {
        log(.breakerClosed, receiver, range, "it takes mail from there again")
        release(receiver)
    }

    /// Sites that wait for a source go on.
    mutating func release(_ receiver: Receiver) {
        receiver.lastTurn = now
        wake(where: { $0.receiver === receiver }) { $0 == .sources }
    }
}

extension RangeMemory {
    /// The breaker's level at most: that many probes in a row close it at the latest.
    static let highest = 4
}

extension Cooldown {
    /// After a success: half the level, nothing of it at 0; what is left is tried at once, a probe at a time.
    func eased(at now: Timestamp) -> Cooldown? {
        guard level > 1 else { return nil }
        var eased = self
        eased.level /= 2
        eased.until = min(until, now)
        return eased
    }
}
