import Delivery
import Mail

/// Decodes one entry of `relays:` of an ipmap.
enum RelayFile {
    /// `{ host: smtp.provider.example, port: 587, tls: required, username: figaro, password_file: secrets/provider }`
    static func decode(_ field: Field) -> RelayDeclaration? {
        let read = field.section { section -> RelayDeclaration? in
            var limits = SiteFile.limits(section)
            let messages = limits.messagesPerSession
            limits.messagesPerSession = nil
            let port = section.optional("port")?.int(1...65_535)
            let tls = section.optional("tls")
            let need = tls?.word(TLSNeed.self) ?? .required
            let username = section.optional("username")?.value("a name without control characters") {
                $0.unicodeScalars.contains { $0.value < 32 || $0.value == 127 } ? nil : $0
            }
            let passwordFile = section.optional("password_file")
            let afterVolume = section.optional("after_volume")?.span(.minutes(1)...(.days(30)))
            let scoreLimit = section.optional("score_limit")?.double(-1_000...1_000)
            let pool = section.optional("pool")
            returnPath(section.optional("return_path"))
            if (username == nil) != (passwordFile == nil) {
                section.whole.complain("“username” and “password_file” go together")
            }
            if username != nil, need != .required, need != .implicit {
                tls?.complain("a password goes over verified TLS only: “required” or “implicit”, or no “username”")
            }
            guard let host = section.required("host").flatMap(SiteFile.hostOrAddress) else { return nil }
            return RelayDeclaration(
                relay: IPMap.Relay(
                    name: "", host: host, port: port ?? (need == .implicit ? 465 : 587), tls: need, sources: [],
                    messagesPerSession: messages ?? PoolDeclaration.messagesPerSession, limits: limits,
                    afterVolume: afterVolume, scoreLimit: scoreLimit),
                username: username, passwordFile: passwordFile, pool: pool)
        }
        return read ?? nil
    }

    private static func returnPath(_ field: Field?) {
        guard let field, let text = field.string("original") else { return }
        switch text {
        case "original": break
        case "verp":
            field.complain(
                "“verp” is not supported yet: what comes back from a relay is not listened for; use “original”")
        default: field.complain("expected original, found “\(text)”")
        }
    }
}
