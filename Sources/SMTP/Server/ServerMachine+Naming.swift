/// XCLIENT: a load balancer that has talked to a client itself says who that is.
extension ServerMachine {
    mutating func xclient(_ client: NamedClient?) -> Action {
        guard policy.mayName else { return refuse(.namingDenied) }
        guard envelope == nil else { return refuse(.badSequence) }
        guard let client else { return refuse(.arguments) }
        return idle(.name(client))
    }

    /// The session begins anew: who it was before, and what that one has said, counts for nothing.
    ///
    /// - Parameter verdict: what the accounts say to ``Action/name(_:)``.
    package mutating func named(_ client: NamedClient, _ verdict: LoginVerdict) -> Action {
        guard phase == .commands else { return .nothing }
        switch verdict {
        case .accepted(let policy):
            let extended = client.extended ?? hello?.extended ?? false
            self.policy = policy
            isLoggedIn = client.login != nil
            hello = client.hello.map { ($0, extended) }
            errors = 0
            forgetTransaction()
            return .greet
        case .refused(let reply): return refuse(reply)
        }
    }
}
