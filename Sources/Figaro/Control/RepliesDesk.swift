import Delivery
import Mail

/// What is asked of the ``RepliesDesk``.
struct RepliesRequest: Codable, Sendable, Hashable {
    /// 1 to 1,000.
    var limit: Int
}

/// Answers which replies no rule has read.
struct RepliesDesk: Sendable {
    let unruled: UnruledReplies
    /// Those in use now.
    let rules: @Sendable () -> ReplyRules

    func answer(_ request: RepliesRequest, _ caller: ControlCaller) -> ControlEnd {
        let rules = rules()
        // What a new rule reads is done.
        unruled.forget { entry in
            let phase = Phase.allCases.first { $0.description == entry.phase }
            guard let reply = ReplyLines.reply(entry.reply) else { return false }
            return !rules.read(reply, in: phase, site: entry.site).rule.hasPrefix("base:")
        }
        let entries = unruled.entries()
        let limit = min(max(1, request.limit), UnruledReplies.limit)
        for entry in entries.prefix(limit) where !caller.send(entry) { break }
        return ControlEnd(more: entries.count > limit ? true : nil)
    }
}
