import Delivery
import Intake
import Mail

extension NodeConfigurationFile {
    /// The `containment:` section.
    func containment(
        _ section: Section, _ planner: inout PlannerConfiguration, _ burst: inout Burst
    ) -> BurnBudget? {
        var budget = BurnBudget()
        section.set(&planner.rangeBreaker, "range_breaker") { $0.int(2...1_000) }
        section.set(&planner.probeInterval, "probe_every") { $0.span(.seconds(1)...(.hours(1))) }
        section.set(&budget.perSite, "sources_per_site") { $0.int(1...10_000) }
        section.set(&budget.inAll, "sources") { $0.int(1...100_000) }
        section.set(&budget.span, "span") { $0.span(.minutes(1)...(.days(30))) }
        _ = section.optional("burst")?.section { part in
            part.set(&burst.recipients, "recipients") { $0.int(1...1_000_000_000) }
            part.set(&burst.factor, "factor") { $0.int(1...100_000) }
            part.set(&burst.days, "days") { $0.int(1...13) }
        }
        if budget.perSite > budget.inAll {
            section.place(of: "sources_per_site", or: "sources").complain(
                "sources_per_site (\(budget.perSite)) is more than sources (\(budget.inAll))")
        }
        return budget
    }
}
