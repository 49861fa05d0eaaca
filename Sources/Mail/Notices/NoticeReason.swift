/// Why a recipient did not get a message where no receiver said it: each has a sentence in every language.
package enum NoticeReason: String, Sendable, Hashable, CaseIterable {
    case noSuchDomain = "no_such_domain"
    /// RFC 7505.
    case nullMX = "null_mx"
    /// The domain is there, but nothing that mail can be sent to.
    case noHost = "no_host"
    /// Where the domain's mail goes could not be found out.
    case nameServers = "name_servers"
    case unreachable
    case silent
    case broken
    case nonsense
    case tls
    /// The fault was our own.
    case ours
    /// Figaro may not connect there.
    case forbidden
    case utf8
    case eightBit = "eight_bit"
    case tooLarge = "too_large"
    /// By the relay's operator, whose words follow.
    case returned
    case unknown
}

extension Refusal {
    /// nil where a receiver's own words say it.
    var reason: NoticeReason? {
        guard case .trouble(let trouble, _) = answer else { return nil }
        switch trouble {
        case .timeout where phase == .resolve: return .nameServers
        case .timeout: return phase == .connect ? .unreachable : .silent
        case .connection: return phase == .connect ? .unreachable : .broken
        case .nonsense: return .nonsense
        case .tls: return .tls
        case .local: return .ours
        case .forbidden: return Self.unroutable(status)
        // Only where we log in is more asked for than what the message needs.
        case .missingExtension: return phase == .auth ? .ours : .utf8
        case .missing8BitMIME: return .eightBit
        case .tooLarge: return .tooLarge
        case .returned: return .returned
        }
    }

    private static func unroutable(_ status: EnhancedStatus?) -> NoticeReason {
        switch status {
        case EnhancedStatus(5, 1, 2): .noSuchDomain
        case EnhancedStatus(5, 1, 10): .nullMX
        case EnhancedStatus(5, 4, 4): .noHost
        default: .forbidden
        }
    }
}
