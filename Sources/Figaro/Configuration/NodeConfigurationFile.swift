import DNS
import Delivery
import Filtering
import Glibc
import Intake
import Mail
import NIOCore
import SMTP
import Storage

/// Decodes the node's file.
struct NodeConfigurationFile {
    private let problems: Problems
    /// What relative paths are relative to.
    private let folder: String

    /// - Parameter path: nil for the built-in configuration.
    /// - Returns: nil when something was wrong; `problems` says what.
    static func load(_ path: String?, _ problems: Problems) -> NodeConfiguration? {
        guard let path else {
            let root = YAMLFile.parse(NodeConfiguration.builtIn, file: "built-in configuration", problems)
            return decode(root, folder: "", problems)
        }
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
        var configuration = decode(YAMLFile.read(path, problems), folder: folder, problems)
        configuration?.file = path
        return configuration
    }

    /// - Parameter folder: what relative paths are relative to; empty, or with a slash at its end.
    static func decode(_ root: Field?, folder: String, _ problems: Problems) -> NodeConfiguration? {
        let decoder = NodeConfigurationFile(problems: problems, folder: folder)
        guard let root, var configuration = root.section(decoder.node) ?? nil, problems.isEmpty else { return nil }
        configuration.places = root.places()
        return configuration
    }

    private func node(_ section: Section) -> NodeConfiguration? {
        let hostname = section.optional("hostname").map { $0.hostName() } ?? machineName(section)
        let spool = section.optional("spool").map(path) ?? SpoolFolder.standard()
        if spool == nil, section.optional("spool") == nil {
            section.whole.complain("“spool” is missing, and without a home folder there is no default")
        }
        let control = section.optional("control").map(path) ?? spool.map { "\($0)/control.sock" }
        if let control, control.utf8.count > ControlAddress.longestPath {
            (section.optional("control") ?? section.whole).complain(
                "the control socket's path has \(control.utf8.count) octets; "
                    + "the system allows \(ControlAddress.longestPath)"
            )
        }
        let user = section.optional("user").flatMap { $0.string("the name of a user") }
        var filter = section.optional("filter")?.section(self.filter)
        // A node that does nothing but filter has neither.
        let isFilterAlone = filter?.listeners.isEmpty == false && section.optional("listeners") == nil
        let listeners = isFilterAlone ? [] : section.required("listeners")?.list(atLeast: 1, atMost: 256, listener)
        let certificates = section.optional("tls")?.section(self.certificates) ?? []
        if certificates.isEmpty, let listener = listeners?.first(where: { $0.tls != .none }) {
            section.required("listeners")?.complain(
                "port \(listener.port) has tls: \(listener.tls.rawValue), but “tls” names no certificates")
        }
        complainAboutTwins(section.optional("listeners"), listeners ?? [])
        var languages: [String: String] = [:]
        var policies: [String: Filtering.Configuration.Policy] = [:]
        let named = section.optional("customers")
        let customers = named.map { $0.section { self.customers($0, &languages, &policies) } } ?? []
        complainAboutDeafListeners(named, customers ?? [], listeners ?? [])
        filter?.customers = policies
        if filter == nil, let customer = policies.keys.min() {
            named?.complain("customer \(customer) has a filter policy of its own, but there is no “filter”")
        }
        var notices = section.optional("notices")?.section(self.notices) ?? NoticeSection()
        notices.languages = languages
        var minimumDiskFree = 200 << 20
        let limits = section.optional("limits")?.section { self.limits($0, &minimumDiskFree) } ?? Limits()
        var delivery = section.optional("delivery")?.section(self.delivery) ?? DeliverySection()
        var burst = Burst()
        let containment = section.optional("containment")?.section {
            self.containment($0, &delivery.planner, &burst)
        }
        delivery.planner.burns = containment ?? BurnBudget()
        var names = NamesToCheck()
        let resolver = section.optional("dns")?.section { self.dns($0, &names) } ?? UnboundResolver.Configuration()
        let postmaster = section.optional("postmaster").flatMap { field in
            field.value("a mail address such as postmaster@example.com") { try? Address(parsing: $0) }
        }
        let ipmaps = section.optional("ipmaps").flatMap(path)
        let replies = section.optional("replies").flatMap(path)
        let metrics = section.optional("metrics").flatMap { metricsAddress($0, listeners ?? []) }
        let log = section.optional("log")?.section(self.log) ?? LogSettings()
        let history = section.optional("history")?.section(self.history) ?? History.Configuration()
        guard let hostname, let spool, let control, let listeners, let customers else { return nil }
        let keys = section.optional("dkim")?.section(self.dkim) ?? KeySection()
        var intake = Intake.Configuration(
            hostname: hostname, listeners: listeners, certificates: certificates, customers: customers, limits: limits,
            postmaster: postmaster, maxAge: delivery.maxAge, signer: keys.signer)
        intake.burst = burst
        return NodeConfiguration(
            hostname: hostname, spool: spool, control: control, user: user, intake: intake,
            minimumDiskFree: minimumDiskFree, planner: delivery.planner, session: delivery.session,
            allow: delivery.allow,
            resolver: resolver, namesToCheck: names, ipmaps: ipmaps, replies: replies, metrics: metrics, log: log,
            notices: notices, history: history, filter: filter, keys: keys)
    }

    private func machineName(_ section: Section) -> String? {
        var buffer = [CChar](repeating: 0, count: 256)
        gethostname(&buffer, buffer.count - 1)
        let name = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        if let fault = HostName.fault(in: name) {
            section.whole.complain("“hostname” is missing, and the machine's own name “\(name)” will not do: \(fault)")
            return nil
        }
        return name.lowercased()
    }

    /// A path, relative ones to the folder of the file.
    func path(_ field: Field) -> String? {
        guard let text = field.string("a path") else { return nil }
        return Self.absolute(text.hasPrefix("/") ? text : folder + text)
    }

    /// The spool's name must not depend on where a command is started.
    private static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let here = getcwd(nil, 0) else { return path }
        defer { free(here) }
        return "\(String(cString: here))/\(path)"
    }

    private func listener(_ field: Field) -> Listener? {
        let read = field.section { section -> Listener? in
            let address = section.required("address")?.address()
            let port = section.required("port")?.int(1...65_535)
            let tls = section.optional("tls").map { $0.word(TLSMode.self) } ?? TLSMode.none
            let proxies = section.optional("proxy_protocol").map(loadBalancers)
            let namers = section.optional("xclient").map(loadBalancers)
            guard let address, let port, let tls else { return nil }
            return Listener(address: address, port: port, tls: tls, proxies: proxies ?? [], namers: namers ?? [])
        }
        return read ?? nil
    }

    /// Those who may say whose a connection is.
    private func loadBalancers(_ field: Field) -> [IPNetwork] {
        let networks = field.list(atLeast: 1, atMost: 1_000) { field -> IPNetwork? in
            guard let network = field.network() else { return nil }
            if network.prefix == 0 { field.complain("\(network) is everybody, and anybody could be any customer") }
            return network
        }
        return networks ?? []
    }

    private func metricsAddress(_ field: Field, _ listeners: [Listener]) -> MetricsAddress? {
        let read = field.section { section -> MetricsAddress? in
            let address = section.optional("address").map { $0.address() } ?? IPAddress("127.0.0.1")
            let port = section.required("port")?.int(1...65_535)
            guard let address, let port else { return nil }
            if let taken = listeners.first(where: { $0.port == port && $0.address == address }) {
                section.required("port")?.complain("\(taken.address) port \(port) is a listener's for mail")
            }
            return MetricsAddress(address: address, port: port)
        }
        return read ?? nil
    }

    private func complainAboutTwins(_ field: Field?, _ listeners: [Listener]) {
        var seen: Set<Listener> = []
        for listener in listeners {
            let place = Listener(address: listener.address, port: listener.port)
            if !seen.insert(place).inserted {
                field?.complain("\(listener.address) port \(listener.port) is named twice")
            }
        }
    }

    private func certificates(_ section: Section) -> [CertificateFiles] {
        let list = section.required("certificates")?.list(atLeast: 1, atMost: 10_000) { field in
            let read = field.section { section -> CertificateFiles? in
                let certificate = section.required("certificate").flatMap(readablePath)
                let key = section.required("key").flatMap(readablePath)
                guard let certificate, let key else { return nil }
                return CertificateFiles(certificate: certificate, key: key)
            }
            return read ?? nil
        }
        return list ?? []
    }

    private func readablePath(_ field: Field) -> String? {
        guard let path = path(field) else { return nil }
        if access(path, R_OK) != 0 {
            field.complain("\(path) cannot be read: \(String(cString: strerror(errno)))")
        }
        return path
    }

    private func customers(
        _ section: Section, _ languages: inout [String: String],
        _ policies: inout [String: Filtering.Configuration.Policy]
    ) -> [Customer] {
        var owners: [IPNetwork: String] = [:]
        var holders: [CertificateFingerprint: String] = [:]
        var customers: [Customer] = []
        for entry in section.entries() {
            _ = entry.value.section { customer in
                let certificates = self.certificates(customer, of: entry.name, &holders)
                // Whoever shows a certificate may come from anywhere.
                let isCertified = customer.optional("certificates") != nil
                let place = isCertified ? customer.optional("networks") : customer.required("networks")
                let networks = place?.list(atLeast: 1) { field -> IPNetwork? in
                    guard let network = field.network() else { return nil }
                    if network.prefix == 0 {
                        field.complain("\(network) is everybody; that would be an open relay")
                    }
                    if let owner = owners.updateValue(entry.name, forKey: network) {
                        field.complain("\(network) belongs to customer \(owner) already")
                    }
                    return network
                }
                var made = Customer(name: entry.name, networks: networks ?? [])
                made.certificates = certificates
                rights(customer, of: &made)
                customers.append(made)
                policies[entry.name] = customer.optional("filter")?.section(filterPolicy)
                languages[entry.name] = customer.optional("language").flatMap {
                    $0.string("a language such as en or de")?.lowercased()
                }
            }
        }
        if customers.isEmpty { section.whole.complain("names no customer, so that nobody could send") }
        return customers
    }
}

extension NodeConfigurationFile {
    private func dns(_ section: Section, _ names: inout NamesToCheck) -> UnboundResolver.Configuration {
        var dns = UnboundResolver.Configuration()
        section.set(&dns.servers, "servers") { servers in
            servers.list(atMost: 16) { field in
                field.value("a name server such as 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:5353") {
                    Self.isNameServer($0) ? $0 : nil
                }
            }
        }
        section.set(&names.blockLists, "block_lists") { lists in
            lists.list(atMost: 32) { field in
                field.value("the name of a block list such as zen.spamhaus.org") {
                    HostName.fault(in: $0) == nil && $0.contains(".") ? $0.lowercased() : nil
                }
            }
        }
        section.set(&names.policies, "spf") { domains in
            domains.list(atMost: 32) { field in
                field.value("a domain such as _spf.relay.example") { $0.contains(".") ? DomainName($0)?.text : nil }
            }
        }
        section.set(&dns.recursive, "recursive") { $0.bool() }
        section.set(&dns.timeout, "timeout") { $0.span(.seconds(1)...(.minutes(5))) }
        dns.rootHints = section.optional("root_hints").flatMap(readablePath)
        dns.trustAnchor = section.optional("trust_anchor").flatMap(readablePath)
        if !dns.servers.isEmpty, dns.recursive || dns.rootHints != nil {
            section.place(of: "recursive", or: "root_hints").complain(
                "either servers are asked, or the root servers and down; not both")
        }
        if dns.rootHints != nil { dns.recursive = true }
        return dns
    }

    private static func isNameServer(_ text: String) -> Bool {
        if IPAddress(text) != nil { return true }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0
        else { return false }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            return IPAddress(host)?.isIPv4 == false
        }
        return IPAddress(host)?.isIPv4 == true
    }

    private func log(_ section: Section) -> LogSettings {
        var log = LogSettings()
        if let level = section.optional("level")?.word(LogSettings.Level.self) { log.level = level }
        if let format = section.optional("format")?.word(LogSettings.Format.self) { log.format = format }
        return log
    }
}
