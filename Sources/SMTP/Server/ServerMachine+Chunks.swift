/// Content in chunks (RFC 3030 section 2): each BDAT is followed at once by as many octets as it says, whether it is
/// obeyed or not, so that refusing one still means to take its octets.
extension ServerMachine {
    /// How the content of a transaction comes in.
    enum Transfer: Hashable, Sendable {
        /// It has not begun, or it comes after DATA.
        case none
        /// In chunks; so many octets were announced so far.
        case chunks(octets: Int)
        /// A chunk was refused, and each that follows gets the same answer until RSET or the last one.
        case failed(ServerReply)
    }

    struct Chunk: Hashable, Sendable {
        var isLast: Bool
        var refusal: ServerReply?
    }

    /// Chunks of a message came in, and it is not complete.
    package var takesChunks: Bool {
        if case .chunks = transfer { true } else { false }
    }

    package var isLastChunk: Bool { chunk?.isLast == true }

    /// All octets of the chunk are there.
    ///
    /// - Parameter refusal: why the content cannot be taken.
    package mutating func chunkEnded(refusal: ServerReply?) -> Action {
        guard phase == .chunk, let chunk else { return .nothing }
        self.chunk = nil
        phase = .commands
        guard chunk.isLast else {
            guard let reply = chunk.refusal ?? refusal else { return .reply(.chunkOk) }
            if envelope != nil { transfer = .failed(reply) }
            return refuse(reply)
        }
        let envelope = envelope
        forgetTransaction()
        phase = .committing
        if let reply = chunk.refusal ?? refusal { return committed(.refused(reply)) }
        return envelope.map { .commit($0) } ?? committed(.refused(.badSequence))
    }

    mutating func beginChunk(_ octets: Int, last: Bool, _ admission: () -> ServerReply?) -> Action {
        // Nothing follows it, and it brings the message no further.
        guard octets > 0 || last else { return refuse(.emptyChunk) }
        // Its octets would have to be read to hear the next command; nobody reads 4 GB to say no.
        guard octets <= policy.swallowLimit else { return end(.tooLarge) }
        let isFirst = transfer == .none
        let refusal = take(octets, admission)
        if let refusal, refusal.code == 421 { return end(refusal) }
        chunk = Chunk(isLast: last, refusal: refusal)
        phase = .chunk
        return refusal == nil ? .chunk(octets: octets, begins: isFirst ? envelope : nil) : .skip(octets: octets)
    }

    mutating func forgetTransaction() {
        envelope = nil
        transfer = .none
    }

    /// - Returns: why the chunk cannot be taken.
    private mutating func take(_ octets: Int, _ admission: () -> ServerReply?) -> ServerReply? {
        guard let envelope else { return hello == nil ? .helloFirst : .badSequence }
        let before: Int
        switch transfer {
        case .failed(let reply): return reply
        case .chunks(let announced): before = announced
        case .none:
            guard !envelope.recipients.isEmpty else { return .noRecipients }
            if let refusal = admission() { return refusal }
            before = 0
        }
        let (total, overflow) = before.addingReportingOverflow(octets)
        guard !overflow, total <= policy.messageSize else { return .tooLarge }
        transfer = .chunks(octets: total)
        return nil
    }
}

extension ServerMachine.Policy {
    /// How much content is read to its end only to refuse it: as much again as we would take, and 1 MiB for clients
    /// that do not know our limit.
    var swallowLimit: Int {
        let (double, overflow) = messageSize.multipliedReportingOverflow(by: 2)
        return overflow ? .max : max(double, 1 << 20)
    }
}
