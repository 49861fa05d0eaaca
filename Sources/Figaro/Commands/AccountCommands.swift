import ArgumentParser
import Intake

/// What an account is to have; the same for `add` and `set`.
struct AccountOptions: ParsableArguments {
    @Option(
        name: .customLong("network"),
        help: ArgumentHelp(
            "A network that it sends from without a login; may be given several times. `none` takes all away.",
            valueName: "CIDR"))
    var networks: [String] = []
    @Option(
        name: .customLong("certificate"),
        help: ArgumentHelp(
            "Fingerprint of a certificate that its server shows in TLS, or of that certificate's public key; may be "
                + "given several times. `none` takes all away.", valueName: "sha256"))
    var certificates: [String] = []
    @Option(help: ArgumentHelp("Of notices to its senders, such as de; `none` for the node's.", valueName: "language"))
    var language: String?

    @Option(
        name: .customLong("sender"),
        help: ArgumentHelp(
            "A domain, *.domain or address that it may send from; may be given several times. Without any it may use "
                + "all that no other customer has. `none` takes all away.", valueName: "sender"))
    var senders: [String] = []
    @Option(
        help: ArgumentHelp("Who is told when the customer is held; `none` for nobody.", valueName: "mail"))
    var administrator: String?
    @Option(
        name: .customLong("limit"),
        help: ArgumentHelp(
            "A bound such as recipients_per_hour=1000, or recipients_per_hour=none; may be given several times.",
            discussion: "There are \(CustomerLimitName.all).", valueName: "name=value"))
    var limits: [String] = []
    @Option(
        help: ArgumentHelp(
            "The route of its mail, of those in the ip map; `none` for the one that the map chooses.",
            valueName: "route"))
    var route: String?
    @Option(
        name: .customLong("filter"),
        help: ArgumentHelp(
            "What filters go by for its mail, such as reject=12, or reject=none; may be given several times.",
            discussion: "There are \(FilterRule.all), as in `filter:` of a customer in the file.",
            valueName: "name=value"))
    var filter: [String] = []

    func validate() throws {
        _ = try parsedLimits()
        _ = try parsedFilter()
        for (name, values) in [("sender", senders), ("certificate", certificates), ("network", networks)]
        where values.contains("none") && values.count > 1 {
            throw ValidationError("--\(name) none takes all \(name)s away; nothing can stand beside it")
        }
        for text in certificates where text != "none" && CertificateFingerprint(text) == nil {
            throw ValidationError("--certificate: \(CertificateFingerprint.fault(in: text))")
        }
    }

    var change: AccountChange {
        AccountChange(
            networks: networks.isEmpty ? nil : networks.filter { $0 != "none" },
            certificates: certificates.isEmpty ? nil : certificates.filter { $0 != "none" },
            language: language.map { $0 == "none" ? "" : $0 },
            senders: senders.isEmpty ? nil : senders.filter { $0 != "none" },
            administrator: administrator.map { $0 == "none" ? "" : $0 },
            limits: (try? parsedLimits()).flatMap { $0.isEmpty ? nil : $0 },
            route: route.map { $0 == "none" ? "" : $0 },
            filter: (try? parsedFilter()).flatMap { $0.isEmpty ? nil : $0 })
    }

    private func parsedFilter() throws -> [String: String] {
        var values: [String: String] = [:]
        for text in filter {
            let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, let rule = FilterRule(rawValue: parts[0]) else {
                throw ValidationError(
                    "“\(text)” is nothing about filters; write NAME=VALUE with one of \(FilterRule.all)")
            }
            guard let value = parts[1] == "none" ? "" : rule.value(parts[1]) else {
                throw ValidationError("“\(text)” has no value of \(parts[0]); there is \(rule.expected), and none")
            }
            values[parts[0]] = value
        }
        return values
    }

    private func parsedLimits() throws -> [String: Int] {
        var values: [String: Int] = [:]
        for text in limits {
            let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, let name = CustomerLimitName(rawValue: parts[0]) else {
                throw ValidationError("“\(text)” is no limit; write NAME=VALUE with one of \(CustomerLimitName.all)")
            }
            guard let value = parts[1] == "none" ? 0 : name.value(parts[1]) else {
                let example = name == .messageSize ? "10MB" : "100"
                throw ValidationError("“\(text)” has no value such as \(parts[0])=\(example) or \(parts[0])=none")
            }
            values[parts[0]] = value
        }
        return values
    }
}

extension CustomerCommand {
    /// `figaro customer add`
    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add a customer that is kept in the spool, beside those of the node's file.",
            discussion: """
                It is known by the networks it sends from, by a login (`figaro credential add`), or by the certificate \
                that its server shows in TLS. It may send at once, and after every restart; nothing needs to be \
                reloaded.

                Examples:
                  figaro customer add acme --network 192.0.2.0/24 --network 2001:db8:1::/48
                  figaro customer add shop && figaro credential add shop --user shop-web1

                Exit codes: 0 added, 1 refused or no relay answers, 64 wrong usage, 78 the configuration is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @OptionGroup var account: AccountOptions
        @Argument(help: "What the customer is called: letters, digits and .-_") var name: String
        @Flag(help: "Print one JSON object.") var json = false

        func run() throws {
            try relay.order(
                .account(AccountRequest(verb: .add, name: name, change: account.change)), json: json)
        }
    }

    /// `figaro customer set`
    struct Set: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change a customer that is kept in the spool.",
            discussion: """
                What is given replaces what was there; everything else stays. A customer that the node's file \
                declares is changed in the file: the answer names the line.

                Examples:
                  figaro customer set acme --sender acme.example --limit recipients_per_hour=2000
                  figaro customer set acme --route premium --filter reject=20 --filter unavailable=hold

                Exit codes: 0 changed, 1 refused or no relay answers, 64 wrong usage, 78 the configuration is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @OptionGroup var account: AccountOptions
        @Argument(help: "The customer's name.") var name: String
        @Flag(help: "Print one JSON object.") var json = false

        func run() throws {
            let change = account.change
            guard change != AccountChange() else { throw ValidationError("nothing to change; see --help") }
            try relay.order(.account(AccountRequest(verb: .set, name: name, change: change)), json: json)
        }
    }

    /// `figaro customer remove`
    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a customer that is kept in the spool, with its logins.",
            discussion: """
                Its mail in the queue goes on. To stop that, hold it first: `figaro customer hold`. One that may come \
                back, or is to be told why nothing is taken from it, is better closed: `figaro customer close`.

                Example:
                  figaro customer remove acme

                Exit codes: 0 removed, 1 refused or no relay answers, 64 wrong usage, 78 the configuration is wrong.
                """)

        @OptionGroup var relay: RelayOption
        @Argument(help: "The customer's name.") var name: String
        @Flag(help: "Print one JSON object.") var json = false

        func run() throws {
            try relay.order(.account(AccountRequest(verb: .remove, name: name)), json: json)
        }
    }
}
