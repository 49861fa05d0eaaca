import ArgumentParser
import DNS
import Signing

extension KeyCommand {
    /// `figaro dkim rotate`
    struct Rotate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make the next keys of a domain, and later go over to them.",
            discussion: """
                The first time it makes keys like those that sign, under a new selector, and prints their records. \
                When those are published, `--switch` has them sign: it asks the DNS for each record first, by the \
                resolver of the configuration, and changes nothing where one is missing or holds another key. \
                Records of the old ones stay published for a week, since mail that they signed is still under way.

                Examples:
                  figaro dkim rotate example.org
                  figaro dkim rotate example.org --switch && figaro reload
                  figaro dkim rotate example.org --switch --force "this machine sees the internal view of the zone"

                Exit codes: 0 done, 1 it could not be done, 78 the configuration is wrong.
                """)

        @OptionGroup var target: Target
        @Argument(help: "The domain of the authors.") var domain: String
        @Option(help: "Name of the next key; today's date without it.") var selector: String?
        @Flag(name: .customLong("switch"), help: "The keys that wait are published: sign with them.") var isSwitch =
            false
        @Option(help: ArgumentHelp("Switch without asking the DNS, and say why.", valueName: "reason"))
        var force: String?

        func run() throws {
            let domain = try KeyCommand.domain(domain)
            let name = try KeyCommand.name(selector)
            guard force == nil || isSwitch, force?.isEmpty != true else {
                throw ValidationError("--force goes with --switch, and says why")
            }
            try target.run { place throws(KeyFolder.Failure) in
                if isSwitch { try switchOver(domain, place) } else { try makeNext(domain, name, place) }
            }
        }

        private func makeNext(_ domain: String, _ name: String, _ place: Target.Place) throws(KeyFolder.Failure) {
            let own = try place.folder.entries().filter { $0.domain == domain }
            guard own.contains(where: { $0.state == .signs }) else {
                throw KeyFolder.Failure("\(domain) has no key; `figaro dkim add \(domain)` makes the first one")
            }
            guard !own.contains(where: { $0.state == .next }) else {
                throw KeyFolder.Failure("\(domain) has keys that wait; --switch has them sign")
            }
            var algorithms: [SigningKey.Algorithm] = []
            for entry in own where entry.state == .signs {
                algorithms.append(try KeyFolder.key(entry.path).algorithm)
            }
            try KeyCommand.make(algorithms, of: domain, named: name, .next, in: place.folder, place.owner)
        }

        private func switchOver(_ domain: String, _ place: Target.Place) throws(KeyFolder.Failure) {
            let waiting = try place.folder.entries().filter { $0.domain == domain && $0.state == .next }
            guard !waiting.isEmpty else { throw KeyFolder.Failure("\(domain) has no key that waits") }
            if let force {
                Terminal.say("\(domain): the DNS was not asked: \(Visible.text(force))")
            } else {
                try check(waiting, place.resolver)
            }
            try place.folder.switchOver(domain)
            Terminal.say("\(domain): the keys that waited sign after `figaro reload`")
        }

        /// What is signed by a key that nobody finds is worth less than what is not signed.
        private func check(
            _ waiting: [KeyFolder.Entry], _ resolver: UnboundResolver.Configuration
        ) throws(KeyFolder.Failure) {
            let names = waiting.map { KeyRecord.name($0.domain, $0.selector).lowercased() }
            let lookups: [Lookup]
            do { lookups = try TextRecords.lookups(of: names, resolver) } catch {
                throw KeyFolder.Failure("the DNS cannot be asked: \(error)")
            }
            var isPublished = true
            for (entry, lookup) in zip(waiting, lookups) {
                let key = try KeyFolder.key(entry.path)
                let found = KeyRecord.Published(lookup)
                guard let fault = found.fault(for: key) else { continue }
                isPublished = false
                Terminal.complain("\(KeyRecord.name(entry.domain, entry.selector)): \(fault)")
                for text in found.shown { Terminal.complain("  there is:  \(text)") }
                Terminal.complain("  should be: \(KeyRecord.line(entry.domain, entry.selector, key))")
            }
            guard isPublished else {
                throw KeyFolder.Failure(
                    "nothing is changed: publish what should be, wait until the old answer is out of caches, and try "
                        + "again; or say with --force why it need not be found from here")
            }
        }
    }
}
