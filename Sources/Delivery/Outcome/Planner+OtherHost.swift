import DNS
import Mail
import Queue

/// A host that would not, or could not, take a message is not the last word while its site has others.
extension Planner {
    /// Hosts that a message is shown to in one round; RFC 5321 section 5.1 asks for two at least.
    private static let hostsPerRound = 5

    /// What a message needs, and a host did not offer.
    private enum Lack {
        case utf8, eightBit, size
    }

    /// Sends the recipients to another host of the site where that may help.
    func seekHost(_ judgement: inout Judgement, _ answer: PhaseAnswer, of parcel: Parcel, on session: OpenSession) {
        guard let cause = judgement.reading?.cause else { return }
        let lack = Self.lack(answer.answer)
        switch cause {
        case .host:
            guard case .later = judgement.verdict else { return }
        // A host that lacks a feature, or muddles the sequence, may stand beside one that does not.
        case .size, .protocol: break
        default: return
        }
        if parcel.passed.count + 1 < Self.hostsPerRound, hasOtherHost(for: parcel, than: session, lack) {
            judgement.verdict = .otherHost
            judgement.why = "another host of \(session.site.name) may take it"
        } else if lack == .eightBit, mayGoAsIs(parcel) {
            judgement.verdict = .asIs
            judgement.why = "no host of \(session.site.name) offers 8BITMIME: 8-bit content goes as it is"
        }
    }

    private static func lack(_ answer: Answer) -> Lack? {
        switch answer {
        case .trouble(.missingExtension, _): .utf8
        case .trouble(.missing8BitMIME, _): .eightBit
        case .trouble(.tooLarge, _): .size
        default: nil
        }
    }

    /// Whether the site has a host that the parcel has not been to, that we have a source for, and that is not known to
    /// lack the same.
    private func hasOtherHost(for parcel: Parcel, than session: OpenSession, _ lack: Lack?) -> Bool {
        let site = session.site
        return site.hosts.contains { host in
            host.addresses.contains { address in
                guard address != session.plan.address, !parcel.passed.contains(address),
                    !site.forbidden.contains(address), table.families.contains(address.isIPv4)
                else { return false }
                // One that rests is worth waiting for where this one will never do.
                guard let lack else { return !rests(address, at: site) }
                return mayOffer(lack, address, parcel.message, at: site)
            }
        }
    }

    private func mayOffer(_ lack: Lack, _ address: IPAddress, _ message: QueuedMessage, at site: Site) -> Bool {
        guard let (offers, until) = memory(of: address, at: site)?.offers, until > now else { return true }
        switch lack {
        case .utf8: return offers.utf8
        case .eightBit: return offers.eightBit
        case .size: return offers.size.map { $0 >= message.size } ?? true
        }
    }

    /// Of a message from `<>` nobody would hear that it failed, so that octets at risk are better than silence.
    private func mayGoAsIs(_ parcel: Parcel) -> Bool {
        !configuration.refusesEightBit || parcel.message.sender == .null
    }

    /// Whether 8-bit content goes to a host that does not offer 8BITMIME.
    func goesAsIs(_ parcel: Parcel, on session: OpenSession) -> Bool {
        if parcel.eightBitAsIs { return true }
        guard parcel.message.eightBit, !session.offers.eightBit else { return false }
        return mayGoAsIs(parcel) && !hasOtherHost(for: parcel, than: session, .eightBit)
    }
}
