package import Mail
package import Queue
package import SMTP

extension IPMap {
    /// Another relay that takes what receivers do not take from us.
    package struct Relay: Sendable, Hashable {
        package var name: String
        /// A name or an address.
        package var host: String
        package var port: Int
        package var tls: TLSNeed
        /// Who we are there; nil where it knows us by our address. Only together with ``TLSNeed/required`` or
        /// ``TLSNeed/implicit``.
        package var login: Login?
        /// What it is sent from: a declared pool's, or an address that leaves the choice to the system.
        package var sources: [Source]
        /// Messages a session carries, 1 or more; its limits may say less.
        package var messagesPerSession: Int
        package var limits: SiteLimits
        /// How long refusals for `volume` must last until a message is handed over because of them; nil: never.
        package var afterVolume: Timestamp.Span?
        /// The highest score of the filter with which mail goes through it; nil: any.
        package var scoreLimit: Double?

        package init(
            name: String, host: String, port: Int = 587, tls: TLSNeed = .required, login: Login? = nil,
            sources: [Source], messagesPerSession: Int = 20, limits: SiteLimits = SiteLimits(),
            afterVolume: Timestamp.Span? = nil, scoreLimit: Double? = nil
        ) {
            self.name = name
            self.host = host
            self.port = port
            self.tls = tls
            self.login = login
            self.sources = sources
            self.messagesPerSession = messagesPerSession
            self.limits = limits
            self.afterVolume = afterVolume
            self.scoreLimit = scoreLimit
        }
    }
}

extension IPMap.Relay {
    /// Why the filter's word about a message keeps it from this relay; nil: it does not. What no filter was asked
    /// about, as our own notices, passes; what one was to see and did not see does not.
    package func objection(to message: QueuedMessage) -> String? {
        guard let scoreLimit else { return nil }
        if message.verdict == .unscanned { return "relay \(name) takes nothing that was not scanned" }
        guard let score = message.score, score > scoreLimit else { return nil }
        return "its score of \(Screening.text(score)) is over the \(Screening.text(scoreLimit)) of relay \(name)"
    }
}
