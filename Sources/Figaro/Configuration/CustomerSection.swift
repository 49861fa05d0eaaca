import Intake
import Mail

extension NodeConfigurationFile {
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
