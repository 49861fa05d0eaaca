import ArgumentParser
import DNS
import Mail
import Signing

/// `figaro dkim …`
struct KeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dkim", abstract: "Make, list and change the keys that mail is signed with.",
        discussion: """
            Keys are files of the folder that `dkim: { folder: … }` names. No command prints one; what is printed \
            are the records to publish. The relay goes by new keys after `figaro reload`.
            """,
        subcommands: [Add.self, List.self, Rotate.self, Records.self])

    /// What every one of them works on.
    struct Target: ParsableArguments {
        @OptionGroup var config: ConfigurationOption

        struct Place {
            var folder: KeyFolder
            /// Who must be able to read keys.
            var owner: UserAccount?
            var resolver: UnboundResolver.Configuration
        }

        private func load() throws(BadConfiguration) -> Place {
            let problems = Problems()
            guard let node = NodeConfigurationFile.load(config.path, problems) else {
                try problems.check()
                throw BadConfiguration("cannot be decoded", file: config.path)
            }
            guard let folder = node.keys.folder else {
                throw BadConfiguration("names no folder of keys: dkim: { folder: /etc/figaro/dkim }", file: config.path)
            }
            return Place(
                folder: KeyFolder(path: folder), owner: node.user.flatMap(UserAccount.named), resolver: node.resolver)
        }

        func run(_ body: (Place) throws(KeyFolder.Failure) -> Void) throws {
            let place: Place
            do throws(BadConfiguration) { place = try load() } catch { throw error.report() }
            do throws(KeyFolder.Failure) {
                try body(place)
            } catch {
                Terminal.complain(Visible.text(error.description))
                throw ExitCode.failure
            }
        }
    }

    /// Which keys are made.
    enum Kind: String, ExpressibleByArgument, CaseIterable {
        case rsa, ed25519, both

        var algorithms: [SigningKey.Algorithm] {
            switch self {
            case .rsa: [.rsa]
            case .ed25519: [.ed25519]
            case .both: [.rsa, .ed25519]
            }
        }
    }

    /// Two keys of a domain have two selectors.
    static func selector(_ name: String, _ algorithm: SigningKey.Algorithm) -> String {
        algorithm == .rsa ? name : "\(name)-ed"
    }

    private static func made(_ algorithm: SigningKey.Algorithm) throws(KeyFolder.Failure) -> SigningKey {
        do { return try SigningKey(making: algorithm) } catch {
            throw KeyFolder.Failure("no key could be made: \(error)")
        }
    }

    /// Makes a key of each kind and prints their records.
    static func make(
        _ algorithms: [SigningKey.Algorithm], of domain: String, named name: String, _ state: KeyFolder.State,
        in folder: KeyFolder, _ owner: UserAccount?
    ) throws(KeyFolder.Failure) {
        for algorithm in algorithms {
            let key = try made(algorithm)
            let selector = selector(name, algorithm)
            try folder.add(key, domain: domain, selector: selector, state, owner: owner)
            Terminal.say(KeyRecord.line(domain, selector, key))
        }
    }

    /// What the next key is called: today's date where nobody said.
    static func name(_ asked: String?) throws -> String {
        let name = asked ?? KeyRecord.today()
        guard NodeConfigurationFile.selector(name) != nil else {
            throw ValidationError("“\(Visible.text(name))” is no selector")
        }
        return name
    }

    static func domain(_ text: String) throws -> String {
        guard let domain = NodeConfigurationFile.signingDomain(text) else {
            throw ValidationError("“\(Visible.text(text))” is no domain")
        }
        return domain
    }

    /// `figaro dkim add`
    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make keys for a domain that has none, and print the records to publish.",
            discussion: """
                Examples:
                  figaro dkim add example.org --config /etc/figaro/relay.yaml
                  figaro dkim add example.org --algorithm both --selector 2026a

                Exit codes: 0 made, 1 it could not be made, 78 the configuration is wrong.
                """)

        @OptionGroup var target: Target
        @Argument(help: "The domain of the authors.") var domain: String
        @Option(help: "rsa (2048 bits), ed25519, or both: two signatures on each message.") var algorithm = Kind.rsa
        @Option(help: "Name under the domain where the record stands; today's date without it.") var selector: String?

        func run() throws {
            let domain = try KeyCommand.domain(domain)
            let name = try KeyCommand.name(selector)
            try target.run { place throws(KeyFolder.Failure) in
                let folder = place.folder
                if try folder.entries().contains(where: { $0.domain == domain }) {
                    throw KeyFolder.Failure(
                        "\(domain) has a key already; `figaro dkim rotate \(domain)` makes the next one")
                }
                try KeyCommand.make(algorithm.algorithms, of: domain, named: name, .signs, in: folder, place.owner)
            }
        }
    }

    /// `figaro dkim list`
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List keys: which sign, which wait to, and which did.",
            discussion: """
                Examples:
                  figaro dkim list
                  figaro dkim list --json | jq -r 'select(.state == "old") | .record'

                Exit codes: 0 listed, 1 a key cannot be read, 78 the configuration is wrong.
                """)

        @OptionGroup var target: Target
        @Flag(help: "Print one JSON object per line.") var json = false

        func run() throws {
            try target.run { place throws(KeyFolder.Failure) in
                for entry in try place.folder.entries() {
                    let report = KeyRecord.Report(entry, try KeyFolder.key(entry.path))
                    if json { Terminal.say(json: report) } else { Terminal.say(report.line) }
                }
            }
        }
    }

    /// `figaro dkim dns`
    struct Records: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "dns", abstract: "Print the records to publish, as a zone file has them.",
            discussion: """
                Examples:
                  figaro dkim dns
                  figaro dkim dns example.org

                Exit codes: 0 printed, 1 there is no such key or it cannot be read, 78 the configuration is wrong.
                """)

        @OptionGroup var target: Target
        @Argument(help: "Only of this domain.") var domain: String?

        func run() throws {
            let domain = try domain.map(KeyCommand.domain)
            try target.run { place throws(KeyFolder.Failure) in
                let entries = try place.folder.entries().filter { domain == nil || $0.domain == domain }
                if entries.isEmpty, let domain { throw KeyFolder.Failure("\(domain) has no key") }
                for entry in entries {
                    Terminal.say(KeyRecord.line(entry.domain, entry.selector, try KeyFolder.key(entry.path)))
                }
            }
        }
    }
}
