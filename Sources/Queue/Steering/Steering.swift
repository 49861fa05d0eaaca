package import Mail

/// What an operator wants done with what waits.
package struct SteeringOrder: Sendable, Hashable {
    package enum Verb: String, Sendable, Hashable, CaseIterable {
        /// Not delivered until it is released.
        case hold
        /// Held mail goes on, at once.
        case release
        /// Due at once instead of later.
        case retry
        /// Ended; nobody is told.
        case delete
        /// Ended as failed; senders are told.
        case bounce

        /// It must not be sent any more.
        var stops: Bool { self == .hold || ends }

        var ends: Bool { self == .delete || self == .bounce }
    }

    package var verb: Verb
    /// Who asked for it, for history and log.
    package var by: String
    /// In their words, one line.
    package var reason: String

    package init(_ verb: Verb, by: String, reason: String) {
        self.verb = verb
        self.by = by
        self.reason = reason
    }
}

/// Why a work is not delivered until somebody lets it go.
package struct Hold: Sendable, Hashable {
    package var at: Timestamp
    package var by: String
    package var reason: String

    package init(at: Timestamp, by: String, reason: String) {
        self.at = at
        self.by = by
        self.reason = reason
    }

    /// A deadline when the hold is over: as much time is left as there was at its begin.
    package static func deadline(_ expires: Timestamp, since: Timestamp, now: Timestamp) -> Timestamp {
        let left = expires - since
        return max(expires, left.milliseconds > 0 ? now + left : now)
    }
}

/// One filed work, and what is changed about it.
package struct Steering: Sendable {
    package enum Change: Sendable {
        case hold(Hold)
        case release
        case retry
        case end(SteeredEnd)
    }

    package var key: WorkKey
    package var change: Change

    package init(key: WorkKey, change: Change) {
        self.key = key
        self.change = change
    }
}

/// How an operator ends recipients.
package struct SteeredEnd: Sendable {
    package var how: RecipientEnd
    package var reason: String
    /// nil: all of the work's.
    package var recipients: Set<Address>?
    /// The work was only held to be ended: those who are left are not to be.
    package var isRelease: Bool
    /// What senders are to read.
    package var quoted: Refusal?

    package init(how: RecipientEnd, reason: String, recipients: Set<Address>? = nil, isRelease: Bool = false) {
        self.how = how
        self.reason = reason
        self.recipients = recipients
        self.isRelease = isRelease
    }

    /// The ends of those on record that are meant.
    package func ends(of recorded: [Address], at now: Timestamp) -> [Settlement.Ended] {
        recorded.filter { recipients?.contains($0) ?? true }.map {
            Settlement.Ended(recipient: $0, how: how, reason: reason, at: now, quoted: quoted)
        }
    }
}

/// What came of one ``Steering``.
package struct Steered: Sendable {
    package var key: WorkKey
    package var changed: Bool
    package var ended: [Settlement.Ended]
    /// Where its row stands in the order of due times; nil when it has none, or is held.
    package var due: Timestamp?

    package init(key: WorkKey, changed: Bool, ended: [Settlement.Ended] = [], due: Timestamp? = nil) {
        self.key = key
        self.changed = changed
        self.ended = ended
        self.due = due
    }
}
