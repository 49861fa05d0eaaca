package import Mail

/// What is done with a message, after the filters and the operator's choices.
package enum Handling: Sendable, Hashable {
    case accept(Screening, Verdict.Changes)
    /// Accepted, and kept until an operator lets it go.
    case hold(Screening, Verdict.Changes, reason: String)
    case refuse(Refusal)

    /// What the client is told, in few words that give nothing away.
    package enum Refusal: Sendable, Hashable {
        case spam
        case virus(String)
        /// The filter asks for it to come later.
        case later
        case unavailable
        case tooLarge

        /// A reply line without CRLF.
        package func line(id: MessageID) -> String {
            switch self {
            case .spam: "554 5.7.1 Rejected as spam, id \(id)"
            case .virus(let name): "554 5.7.1 Virus found: \(name), id \(id)"
            case .later: "451 4.7.1 Try again later, id \(id)"
            case .unavailable: "451 4.7.1 Cannot check this message now, try again later, id \(id)"
            case .tooLarge: "552 5.3.4 Message is too large to be checked, id \(id)"
            }
        }
    }
}

extension Configuration {
    /// - Parameter own: what an account of the customer says, in place of ``customers``.
    package func handling(of result: CheckResult, customer: String, own: Policy? = nil) -> Handling {
        let policy = policy(of: customer, own: own)
        switch result {
        case .verdict(let verdict): return handling(of: verdict, policy.thresholds)
        case .unavailable(let reason):
            switch policy.unavailable ?? unavailable {
            case .tempfail: return .refuse(.unavailable)
            case .hold: return .hold(.unscanned(reason), Verdict.Changes(), reason: "not scanned: \(reason)")
            case .accept: return .accept(.unscanned(reason), Verdict.Changes())
            }
        case .tooLarge:
            return policy.tooLarge ?? tooLarge == .reject
                ? .refuse(.tooLarge) : .accept(.unscanned("too large to be scanned"), Verdict.Changes())
        }
    }

    private func handling(of verdict: Verdict, _ thresholds: Thresholds) -> Handling {
        if let virus = verdict.virus { return .refuse(.virus(Self.safe(virus))) }
        var changes = verdict.changes
        let action = Self.action(verdict, thresholds)
        if action != .rewriteSubject { changes.subject = nil }
        let screening = Screening(verdict, action)
        switch action {
        case .reject: return verdict.isQuarantined ? held(screening, changes) : .refuse(.spam)
        case .softReject: return .refuse(.later)
        // Whose customer it is is known: there is nothing to find out by letting it wait.
        case .noAction, .greylist, .addHeader, .rewriteSubject:
            return verdict.isQuarantined ? held(screening, changes) : .accept(screening, changes)
        }
    }

    private func held(_ screening: Screening, _ changes: Verdict.Changes) -> Handling {
        .hold(screening, changes, reason: "the filter wants it looked at")
    }

    /// Thresholds of a customer's own move what the score decides, and leave alone what a rule has forced.
    private static func action(_ verdict: Verdict, _ thresholds: Thresholds) -> Verdict.Action {
        guard thresholds != Thresholds() else { return verdict.action }
        switch verdict.action {
        case .softReject: return .softReject
        case .reject where verdict.required <= 0 || verdict.score < verdict.required || verdict.isForced:
            return .reject
        case .noAction, .greylist, .addHeader, .rewriteSubject, .reject: break
        }
        if let reject = thresholds.reject {
            if verdict.score >= reject { return .reject }
        } else if verdict.action == .reject {
            return .reject
        }
        guard let mark = thresholds.addHeader else {
            return verdict.action == .reject ? .addHeader : verdict.action
        }
        guard verdict.score >= mark else { return .noAction }
        return verdict.action == .rewriteSubject ? .rewriteSubject : .addHeader
    }

    private static func safe(_ name: String) -> String {
        String(name.prefix(60).map { $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) ? $0 : "?" })
    }
}

extension CheckResult {
    /// For the operator's log, in one line.
    package var said: String {
        switch self {
        case .unavailable(let reason): "unavailable: \(reason)"
        case .tooLarge: "too large to be scanned"
        case .verdict(let verdict):
            (verdict.virus.map { "virus \($0), " } ?? "")
                + Screening(verdict, verdict.action).lines.joined(separator: "; ")
        }
    }
}

extension Verdict {
    /// A rule said what to do, whatever the score.
    fileprivate var isForced: Bool { smtpMessage != nil }
}

extension Screening {
    /// Symbols that are kept, and letters of a name.
    private static let symbols = 20
    private static let letters = 48

    fileprivate static func unscanned(_ reason: String) -> Screening {
        Screening(verdict: .unscanned, action: String(reason.prefix(200)), score: nil, symbols: [])
    }

    fileprivate convenience init(_ verdict: Filtering.Verdict, _ action: Filtering.Verdict.Action) {
        let weighty = verdict.symbols.enumerated().sorted { left, right in
            let (first, second) = (abs(left.element.score), abs(right.element.score))
            return first == second ? left.offset < right.offset : first > second
        }
        self.init(
            verdict: action == .addHeader || action == .rewriteSubject ? .suspect : .clean, action: action.rawValue,
            score: verdict.score,
            symbols: weighty.prefix(Self.symbols).map {
                "\($0.element.name.prefix(Self.letters))(\(Self.text($0.element.score)))"
            })
    }
}
