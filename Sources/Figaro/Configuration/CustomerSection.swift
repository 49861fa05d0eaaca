import Intake
import Mail
import SMTP

extension NodeConfigurationFile {
    /// What one customer of the `customers:` section is known by, beside its networks.
    ///
    /// - Parameter owners: whose certificates are known already.
    func certificates(
        _ section: Section, of name: String, _ owners: inout [CertificateFingerprint: String]
    ) -> [CertificateFingerprint] {
        let named = section.optional("certificates")
        let list = named?.list(atLeast: 1, atMost: 1_000) { field -> CertificateFingerprint? in
            guard let text = field.string(CertificateFingerprint.shape) else { return nil }
            guard let print = CertificateFingerprint(text) else {
                field.complain(CertificateFingerprint.fault(in: text))
                return nil
            }
            if let owner = owners.updateValue(name, forKey: print) {
                field.complain("\(print) belongs to customer \(owner) already")
            }
            return print
        }
        return list ?? []
    }

    /// Certificates are shown in TLS, and nowhere else.
    func complainAboutDeafListeners(_ customers: Field?, _ declared: [Customer], _ listeners: [Listener]) {
        guard let customer = declared.first(where: { !$0.certificates.isEmpty }),
            listeners.allSatisfy({ $0.tls == .none })
        else { return }
        customers?.complain("customer \(customer.name) is known by a certificate, but no listener has tls")
    }

    /// What one customer of the `customers:` section may do, beside its networks.
    func rights(_ section: Section, of customer: inout Customer) {
        if let list = section.optional("senders")?.list(
            atLeast: 1, atMost: 10_000, { $0.string("a domain or address") })
        {
            for text in list where !customer.senders.insert(text) {
                section.place(of: "senders")?.complain(
                    "“\(text)” is no domain, no *.domain and no address such as news@customer.example")
            }
        }
        customer.administrator = section.optional("administrator").flatMap { field in
            field.value("a mail address such as admin@customer.example") { try? Address(parsing: $0) }
        }
        _ = section.optional("limits")?.section { limits in
            for name in CustomerLimitName.allCases {
                let value = limits.optional(name.rawValue).flatMap { field in
                    name == .messageSize ? field.size(name.range) : field.int(name.range)
                }
                customer.limits[keyPath: name.value] = value
            }
        }
    }
}
