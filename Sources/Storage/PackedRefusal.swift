import Mail

// Replies and refusals, as the history and the queue's rows keep them.

extension Packer {
    mutating func enhanced(_ status: EnhancedStatus) {
        byte(status.status)
        number(UInt64(status.subject))
        number(UInt64(status.detail))
    }

    mutating func reply(_ reply: Reply) {
        number(UInt64(reply.code))
        optional(reply.enhanced) { $0.enhanced($1) }
        text(reply.text)
    }

    mutating func refusal(_ refusal: Refusal) {
        optionalText(refusal.host)
        byte(refusal.phase.rawValue)
        switch refusal.answer {
        case .reply(let reply):
            byte(0)
            self.reply(reply)
        case .trouble(let trouble, let text):
            byte(trouble.number)
            self.text(text)
        }
        text(refusal.cause.rawValue)
        time(refusal.at)
        optional(refusal.status) { $0.enhanced($1) }
    }
}

extension Packer {
    /// Stands behind a refusal; rows written before it have none.
    mutating func way(_ way: RecipientReport.Way?) {
        optional(way) { packer, way in
            packer.number(UInt64(max(0, way.sources)))
            packer.number(UInt64(max(0, way.attempts)))
            packer.text(way.relay)
            packer.number(UInt64(max(0, way.handed)))
            packer.optionalText(way.said)
            packer.optional(way.reply) { $0.reply($1) }
        }
    }
}

extension Unpacker {
    mutating func way() throws(Unreadable) -> RecipientReport.Way? {
        guard !isAtEnd else { return nil }
        return try optional { (unpacker: inout Unpacker) throws(Unreadable) in
            RecipientReport.Way(
                sources: try unpacker.count(.max), attempts: try unpacker.count(.max), relay: try unpacker.text(),
                handed: try unpacker.count(.max), said: try unpacker.optionalText(),
                reply: try unpacker.isAtEnd ? nil : unpacker.optionalReply())
        }
    }

    /// Behind what earlier programs wrote, which have none.
    mutating func optionalReply() throws(Unreadable) -> Reply? {
        try optional { (unpacker: inout Unpacker) throws(Unreadable) in try unpacker.reply() }
    }

    mutating func enhanced() throws(Unreadable) -> EnhancedStatus {
        EnhancedStatus(try byte(), UInt16(try count(Int(UInt16.max))), UInt16(try count(Int(UInt16.max))))
    }

    private mutating func optionalEnhanced() throws(Unreadable) -> EnhancedStatus? {
        try optional { (unpacker: inout Unpacker) throws(Unreadable) in try unpacker.enhanced() }
    }

    mutating func reply() throws(Unreadable) -> Reply {
        Reply(UInt16(try count(Int(UInt16.max))), try optionalEnhanced(), try text())
    }

    mutating func refusal() throws(Unreadable) -> Refusal {
        let host = try optionalText()
        let phase = try phase()
        let kind = try byte()
        let answer: Answer
        if kind == 0 {
            answer = .reply(try reply())
        } else if let trouble = Answer.Trouble(number: kind) {
            answer = .trouble(trouble, try text())
        } else {
            throw Unreadable(description: "unknown kind of refusal \(kind)")
        }
        guard let cause = Cause(rawValue: try text()) else { throw Unreadable(description: "unknown cause") }
        return Refusal(
            host: host, phase: phase, answer: answer, cause: cause, at: try time(), status: try optionalEnhanced())
    }

    mutating func optionalRefusal() throws(Unreadable) -> Refusal? {
        try optional { (unpacker: inout Unpacker) throws(Unreadable) in try unpacker.refusal() }
    }
}

extension Answer.Trouble {
    /// As it is stored; a number is never used for anything else.
    fileprivate var number: UInt8 {
        switch self {
        case .timeout: 1
        case .connection: 2
        case .nonsense: 3
        case .tls: 4
        case .local: 5
        case .forbidden: 6
        case .missingExtension: 7
        case .tooLarge: 8
        case .missing8BitMIME: 9
        case .returned: 10
        }
    }

    fileprivate init?(number: UInt8) {
        let all: [Self] = [
            .timeout, .connection, .nonsense, .tls, .local, .forbidden, .missingExtension, .tooLarge,
            .missing8BitMIME, .returned,
        ]
        guard (1...all.count).contains(Int(number)) else { return nil }
        self = all[Int(number) - 1]
    }
}
