package import Mail

/// What is kept of ways over restarts, and what comes back.
extension Planner {
    /// What of a receiver changed.
    enum Change: Hashable {
        case path(IPAddress)
        case range(String)
        case pin(Triple)
        case pace
        case takers
        /// Of no receiver: a domain.
        case keptBack(String)
        /// Of no receiver: a customer.
        case burns(String)
    }

    struct ChangeKey: Hashable {
        var receiver: String
        var change: Change
    }

    mutating func noteChange(_ change: Change, _ receiver: Receiver) {
        changes.insert(ChangeKey(receiver: receiver.name, change: change))
    }

    /// Of no receiver.
    mutating func noteChange(_ change: Change) { changes.insert(ChangeKey(receiver: "", change: change)) }

    /// What changed since it was last asked, as it is now.
    mutating func takeChanges() {
        guard !changes.isEmpty || !changedHosts.isEmpty else { return }
        let rows = changes.map(row(of:)) + changedHosts.map(row(of:))
        changes.removeAll()
        changedHosts.removeAll()
        actions.append(.remember(rows))
    }

    private func row(of key: ChangeKey) -> PathRow {
        let receiver = receivers[key.receiver]
        func row(_ kind: PathRow.Kind, _ name: String, _ value: String?, _ expires: Timestamp?) -> PathRow {
            PathRow(kind: kind, site: key.receiver, key: name, value: value, expires: expires ?? now)
        }
        switch key.change {
        case .path(let address):
            let path = receiver?.paths[address]
            return row(.path, address.description, path?.value, path?.expires)
        case .range(let name):
            let range = receiver?.ranges[name]
            return row(.range, name, range?.value, range?.expires(at: now))
        case .pin(let triple):
            let pin = receiver?.pins[triple]
            return row(.pin, String(triple.value), pin?.value, pin?.expires)
        case .pace:
            let pace = receiver?.pace
            return row(.pace, "", pace.map { PathFields.line($0.fields) }, pace?.expires)
        case .takers: return row(.takers, "", takersValue(of: receiver), receiver?.takersExpire)
        case .keptBack(let domain):
            return row(.keptBack, domain, keptBack.contains(domain) ? "kept back" : nil, now + .days(1))
        case .burns(let customer):
            let record = customers[customer]
            let span = configuration.burns?.span ?? .days(1)
            return row(.burns, customer, record?.burnsValue, record?.lastBurn.map { $0 + span })
        }
    }

    private func row(of place: HostPlace) -> PathRow {
        let memory = hosts[place]
        return PathRow(
            kind: .host, site: "", key: place.key, value: memory?.value(at: now), expires: memory?.expires ?? now)
    }

    /// What was kept when the relay last ran; to be called before anything else happens. Rows that say nothing
    /// sensible are passed over.
    package mutating func remembered(_ rows: [PathRow], at now: Timestamp) {
        self.now = now
        var known = 0
        for row in rows where row.expires > now {
            guard let value = row.value else { continue }
            switch row.kind {
            case .host:
                if let place = HostPlace(key: row.key) { hosts[place] = HostMemory(value: value, at: now) }
            case .keptBack:
                if keptBack.count < Self.keptBackLimit { keptBack.insert(row.key) }
            case .burns:
                guard customers.count < Self.customersLimit else { continue }
                customers[row.key, default: CustomerRecord()].remember(burns: value)
            case .path, .range, .pin, .pace:
                let receiver = receivers[row.site] ?? Receiver(name: row.site)
                take(row, value, into: receiver)
                if !receiver.isBlank { receivers[row.site] = receiver }
            case .takers:
                let receiver = receivers[row.site] ?? Receiver(name: row.site)
                receiver.takers = takers(from: value)
                receiver.takersExpire = row.expires
                guard !receiver.takers.isEmpty, known < Self.receiversKnown else { continue }
                known += 1
                receivers[row.site] = receiver
            }
        }
    }

    private mutating func take(_ row: PathRow, _ value: String, into receiver: Receiver) {
        switch row.kind {
        case .path:
            if let address = IPAddress(row.key) { receiver.paths[address] = PathMemory(value: value) }
        case .range:
            receiver.ranges[row.key] = RangeMemory(value: value)
        case .pin:
            guard let number = UInt64(row.key), let pin = Pin(value: value, expires: row.expires) else { return }
            _ = pins.set(pin, for: Triple(value: number), at: receiver)
        case .pace:
            receiver.pace = PathFields.lines(value).first.flatMap(Pace.init)
        case .host, .keptBack, .burns, .takers: break
        }
    }

    // MARK: Forgetting

    /// Rows of paths in memory; each takes some 500 octets.
    static let pathLimit = 100_000
    private static let sweepEvery = Timestamp.Span.minutes(5)

    /// What nobody needs any more goes, the store's rows go by themselves.
    mutating func sweepPaths() {
        guard now >= nextSweep else { return }
        nextSweep = now + Self.sweepEvery
        raisePaces()
        let used = Set(sites.values.map { ObjectIdentifier($0.receiver) })
        var count = 0
        for (name, receiver) in receivers where !receiver.isBlank {
            receiver.paths = receiver.paths.filter { ($0.value.expires ?? now) > now || $0.value.sessions > 0 }
            receiver.ranges = receiver.ranges.filter { $0.value.expires(at: now) > now || $0.value.probe != nil }
            if let pace = receiver.pace, pace.expires <= now { receiver.pace = nil }
            for (triple, pin) in receiver.pins where pin.expires <= now { pins.remove(triple, at: receiver) }
            count += receiver.paths.count
            if receiver.isBlank, !used.contains(ObjectIdentifier(receiver)) { receivers[name] = nil }
        }
        if count > Self.pathLimit { dropOldestPaths(count - Self.pathLimit * 9 / 10) }
    }

    private mutating func dropOldestPaths(_ count: Int) {
        let all = receivers.values.flatMap { receiver in
            receiver.paths.map { (receiver: receiver, address: $0.key, expires: $0.value.expires ?? now) }
        }
        for old in all.sorted(by: { $0.expires < $1.expires }).prefix(count) {
            old.receiver.paths[old.address] = nil
            noteChange(.path(old.address), old.receiver)
        }
    }
}
