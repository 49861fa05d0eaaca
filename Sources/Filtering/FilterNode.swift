/// What a filter node adds to rspamd's answers.
enum FilterNode {
    /// The symbol of a virus, whichever scanner found it; its option is the virus's name.
    static let virusSymbol = "FIGARO_VIRUS"

    /// The answer where no rspamd is asked.
    static var bare: JSON {
        .object([
            JSON.Member(name: "is_skipped", value: .bool(false)), JSON.Member(name: "score", value: .number(0)),
            JSON.Member(name: "required_score", value: .number(0)),
            JSON.Member(name: "action", value: .string(Verdict.Action.noAction.rawValue)),
            JSON.Member(name: "symbols", value: .object([])), JSON.Member(name: "messages", value: .object([])),
        ])
    }

    /// rspamd's answer about a message that carries a virus.
    static func marked(_ json: JSON?, virus: String) -> JSON {
        var json = json ?? bare
        json["action"] = .string(Verdict.Action.reject.rawValue)
        let symbol = JSON.object([
            JSON.Member(name: "name", value: .string(virusSymbol)), JSON.Member(name: "score", value: .number(0)),
            JSON.Member(name: "metric_score", value: .number(0)),
            JSON.Member(name: "description", value: .string("a virus was found")),
            JSON.Member(name: "options", value: .array([.string(virus)])),
        ])
        if json["symbols"] == nil { json["symbols"] = .object([]) }
        json["symbols"]?[virusSymbol] = symbol
        json["messages"] = .object([
            JSON.Member(name: "smtp_message", value: .string("virus found"))
        ])
        return json
    }
}
