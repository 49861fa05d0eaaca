import DNS
import Signing

/// The `dkim:` section.
struct KeySection: Sendable {
    /// Folder that `figaro dkim` keeps; nil for none.
    var folder: String?
    var signer: Signer?
}

extension NodeConfigurationFile {
    func dkim(_ section: Section) -> KeySection {
        var keys = KeySection()
        let owners = section.optional("customers")?.section(self.owners) ?? [:]
        var entries: [Signer.Entry] = []
        if let field = section.optional("folder"), let path = path(field) {
            keys.folder = path
            do throws(KeyFolder.Failure) {
                for entry in try KeyFolder(path: path).entries() where entry.state == .signs {
                    entries.append(
                        Signer.Entry(
                            domain: entry.domain, selector: entry.selector, key: try KeyFolder.key(entry.path),
                            customers: owners[entry.domain]))
                }
            } catch {
                field.complain("\(error)")
            }
        }
        entries += section.optional("keys")?.list(atLeast: 1, atMost: 10_000) { self.key($0, owners) } ?? []
        var seen: Set<String> = []
        for entry in entries where !seen.insert("\(entry.selector) \(entry.domain)").inserted {
            section.whole.complain("the selector \(entry.selector) of \(entry.domain) is named twice")
        }
        if section.optional("folder") == nil, section.optional("keys") == nil {
            section.whole.complain("names neither “folder” nor “keys”, so that nothing would be signed")
        }
        for domain in owners.keys.sorted() where keys.folder == nil && !entries.contains(where: { $0.domain == domain })
        {
            section.place(of: "customers")?.complain("there is no key of \(domain)")
        }
        keys.signer = entries.isEmpty ? nil : Signer(entries) { DomainName($0)?.text }
        return keys
    }

    /// Whose mail each domain's keys sign; those that are not named sign everybody's.
    private func owners(_ section: Section) -> [String: Set<String>] {
        var owners: [String: Set<String>] = [:]
        for entry in section.entries() {
            guard let domain = Self.signingDomain(entry.name) else {
                entry.key.complain("“\(entry.name)” is no domain")
                continue
            }
            owners[domain] = Set(entry.value.list(atLeast: 1) { $0.string("the name of a customer") } ?? [])
        }
        return owners
    }

    private func key(_ field: Field, _ owners: [String: Set<String>]) -> Signer.Entry? {
        let read = field.section { section -> Signer.Entry? in
            let domain = section.required("domain")?.value("a domain such as example.org", Self.signingDomain)
            let selector = section.required("selector")?.value("a selector such as 2026a", Self.selector)
            guard let place = section.required("key"), let path = path(place), let domain, let selector else {
                return nil
            }
            do throws(KeyFolder.Failure) {
                return Signer.Entry(
                    domain: domain, selector: selector, key: try KeyFolder.key(path), customers: owners[domain])
            } catch {
                place.complain("\(error)")
                return nil
            }
        }
        return read ?? nil
    }

    /// In lower case, as it stands in the DNS.
    static func signingDomain(_ text: String) -> String? {
        guard text.contains("."), let domain = DomainName(text)?.text.lowercased(), HostName.fault(in: domain) == nil
        else { return nil }
        return domain
    }

    /// One label of a name (RFC 6376 section 3.1 allows several; one is what file names can have).
    static func selector(_ text: String) -> String? {
        let isLabel = text.utf8.allSatisfy { octet in
            (97...122).contains(octet | 32) || (48...57).contains(octet) || octet == 45 || octet == 95
        }
        return isLabel && (1...63).contains(text.utf8.count) && !text.hasPrefix("-") && !text.hasSuffix("-")
            ? text : nil
    }
}
