/// Open sessions without a transaction, those of all sites, in the order in which they became idle.
///
/// A list through the sessions themselves: with a thousand sites whose mail comes one by one, each message puts a
/// session in and takes one out, anywhere in it.
struct IdleSessions {
    private(set) var oldest: OpenSession?
    private var newest: OpenSession?

    mutating func append(_ session: OpenSession) {
        session.idleBefore = newest
        newest?.idleAfter = session
        newest = session
        if oldest == nil { oldest = session }
    }

    /// - Parameter session: one that is in it.
    mutating func remove(_ session: OpenSession) {
        let (before, after) = (session.idleBefore, session.idleAfter)
        (session.idleBefore, session.idleAfter) = (nil, nil)
        if let before { before.idleAfter = after } else { oldest = after }
        if let after { after.idleBefore = before } else { newest = before }
    }
}
