import DNS
package import Mail

/// What operators look at, and take back.
package struct ReceiverState: Sendable {
    package var name: String
    /// Sources that were refused or slowed down, those that rest for longest first.
    package var paths: [Path]
    package var ranges: [Range]
    /// Triples of greylisting whose source is known.
    package var pins: Int
    package var pace: Pace?
    /// Sources that rest at this moment.
    package var cooling: Int

    package var isBlank: Bool { paths.isEmpty && ranges.isEmpty && pins == 0 && pace == nil }

    package struct Path: Sendable {
        package var address: IPAddress
        /// nil: no pool has it any more.
        package var source: String?
        package var cooldown: Cooldown?
        package var pace: Pace?
    }

    package struct Range: Sendable {
        package var name: String
        /// Set while its breaker is open.
        package var cooldown: Cooldown?
        /// Refused with no acceptance in between, and taken since the breaker opened.
        package var refused: Int
        package var warm: Int
        package var nextProbe: Timestamp?
    }
}

/// How much an operator took back.
package struct Forgotten: Sendable, Hashable {
    package var receivers = 0
    package var paths = 0
    package var ranges = 0
    package var pins = 0
    package var paces = 0
    package var hosts = 0
}

extension Planner {
    func state(of receiver: Receiver) -> ReceiverState {
        let paths = receiver.paths.map { address, path in
            ReceiverState.Path(
                address: address, source: table.number(of: address).map { table.sources[$0].name },
                cooldown: path.cooldown, pace: path.pace)
        }
        let longest = Timestamp(milliseconds: 0)
        return ReceiverState(
            name: receiver.name,
            paths: paths.sorted {
                ($1.cooldown?.until ?? longest, $0.address) < ($0.cooldown?.until ?? longest, $1.address)
            },
            ranges: receiver.ranges.sorted { $0.key < $1.key }.map { name, range in
                ReceiverState.Range(
                    name: name, cooldown: range.cooldown, refused: range.refused.count, warm: range.warm.count,
                    nextProbe: range.nextProbe > now ? range.nextProbe : nil)
            },
            pins: receiver.pins.count, pace: receiver.pace,
            cooling: paths.count { ($0.cooldown?.until ?? now) > now })
    }

    /// Receivers of which something is known, whether mail waits for them or not.
    package mutating func knownReceivers(at now: Timestamp) -> [ReceiverState] {
        self.now = now
        return receivers.values.filter { !$0.isBlank }.map(state(of:))
    }

    /// A receiver by its name, or by that of one of its hosts, or of a domain whose mail it takes.
    private func receivers(named name: String) -> [Receiver] {
        if let known = receivers[name] { return [known] }
        if let site = domains[name]?.site { return [site.receiver] }
        let found = sites.values.filter { site in site.hosts.contains { $0.name == name } }.map(\.receiver)
        return Dictionary(found.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first }).values.map(\.self)
    }

    package func receiver(named name: String) -> ReceiverState? { receivers(named: name).first.map(state(of:)) }

    /// Forgets what is known of a receiver: its next mail goes as to one that was never heard of.
    package mutating func forget(receiver name: String, at now: Timestamp) -> Forgotten {
        self.now = now
        var count = Forgotten()
        for receiver in receivers(named: name) {
            count.receivers += 1
            count.paths += receiver.paths.count
            count.ranges += receiver.ranges.count
            count.pins += receiver.pins.count
            count.paces += receiver.pace == nil ? 0 : 1
            for address in receiver.paths.keys { noteChange(.path(address), receiver) }
            for range in receiver.ranges.keys { noteChange(.range(range), receiver) }
            for triple in Array(receiver.pins.keys) {
                pins.remove(triple, at: receiver)
                noteChange(.pin(triple), receiver)
            }
            noteChange(.pace, receiver)
            receiver.paths = [:]
            receiver.ranges = [:]
            receiver.pace = nil
            count.hosts += forgetHosts(of: receiver)
            goOn(receiver)
        }
        return count
    }

    private mutating func forgetHosts(of receiver: Receiver) -> Int {
        var count = 0
        for site in sites.values where site.receiver === receiver {
            site.enough = nil
            site.failures = 0
            for address in site.hosts.flatMap(\.addresses) {
                let place = HostPlace(address: address, port: site.key.port)
                guard hosts.removeValue(forKey: place) != nil else { continue }
                changedHosts.insert(place)
                count += 1
            }
        }
        return count
    }

    /// Forgets that receivers refused these sources, or complained of them; all receivers where none is named.
    package mutating func forgive(_ addresses: [IPAddress], at name: String?, _ now: Timestamp) -> Forgotten {
        self.now = now
        var count = Forgotten()
        let meant = name.map(receivers(named:)) ?? Array(receivers.values)
        for receiver in meant {
            var isMeant = false
            for address in addresses {
                if receiver.paths.removeValue(forKey: address) != nil {
                    count.paths += 1
                    isMeant = true
                    noteChange(.path(address), receiver)
                }
                for (range, memory) in receiver.ranges where memory.refused.contains(address) {
                    receiver.ranges[range]?.refused.remove(address)
                    noteChange(.range(range), receiver)
                    isMeant = true
                }
            }
            guard isMeant else { continue }
            count.receivers += 1
            goOn(receiver)
        }
        return count
    }

    /// What waited because of it goes now.
    private mutating func goOn(_ receiver: Receiver) {
        receiver.lastTurn = now
        wake(where: { $0.receiver === receiver }) { $0 == .sources || $0 == .rate || $0 == .receiver }
    }
}
