//! A value on its way: sealed to a public key that one execution made, with HPKE of RFC 9180 (base
//! mode, X25519, HKDF-SHA256, AES-256-GCM).
//!
//! What is authenticated with it is which execution of which attempt asked and which version of which
//! secret it is, so that an answer is of use to nobody else and for nothing else.

use std::fmt;

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use maestro_schemas::name::SecretName;
use maestro_schemas::secret::{SealedSecret, SecretsQuestion};
use zeroize::Zeroizing;

const INFO: &[u8] = b"maestro secret delivery v1";

type Suite = X25519HkdfSha256;

/// A value could not be sealed or opened: the key is none, or the value is meant for somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value and the key do not belong together")]
pub struct Mismatch;

/// A key pair of one execution, for one question. Its private part is wiped when it is dropped.
pub struct Opener {
    private: <Suite as Kem>::PrivateKey,
    public: Vec<u8>,
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").finish_non_exhaustive()
    }
}

impl Opener {
    /// A new key pair.
    pub fn generate() -> Self {
        let (private, public) = Suite::gen_keypair();
        Self { private, public: public.to_bytes().to_vec() }
    }

    /// What the question says.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The value of an answer to `question`.
    ///
    /// # Errors
    /// Where it was sealed to another key or for another question.
    pub fn open(
        &self,
        question: &SecretsQuestion,
        sealed: &SealedSecret,
    ) -> Result<Zeroizing<Vec<u8>>, Mismatch> {
        let encapsulated =
            <Suite as Kem>::EncappedKey::from_bytes(&sealed.encapsulated).map_err(|_| Mismatch)?;
        let aad = bound(question, &sealed.name, sealed.version);
        hpke::single_shot_open::<AesGcm256, HkdfSha256, Suite>(
            &OpModeR::Base,
            &self.private,
            &encapsulated,
            INFO,
            &sealed.ciphertext,
            aad.as_bytes(),
        )
        .map(Zeroizing::new)
        .map_err(|_| Mismatch)
    }
}

/// Seals a value to the key of a question.
///
/// # Errors
/// Where the question's key is none.
pub fn seal(
    question: &SecretsQuestion,
    (name, version): (&SecretName, u32),
    value: &[u8],
) -> Result<SealedSecret, Mismatch> {
    let key = <Suite as Kem>::PublicKey::from_bytes(&question.key).map_err(|_| Mismatch)?;
    let aad = bound(question, name, version);
    let (encapsulated, ciphertext) = hpke::single_shot_seal::<AesGcm256, HkdfSha256, Suite>(
        &OpModeS::Base,
        &key,
        INFO,
        value,
        aad.as_bytes(),
    )
    .map_err(|_| Mismatch)?;
    let encapsulated = encapsulated.to_bytes().to_vec();
    Ok(SealedSecret { name: name.clone(), version, encapsulated, ciphertext })
}

fn bound(question: &SecretsQuestion, name: &SecretName, version: u32) -> String {
    let SecretsQuestion { run, step, token, execution, .. } = question;
    format!("{run}\n{step}\n{}.{}\n{execution}\n{name}@{version}", token.number, token.epoch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use maestro_schemas::id::{ExecutionId, RunId};
    use maestro_schemas::step::{AttemptToken, StepAddress};

    fn question(opener: &Opener) -> SecretsQuestion {
        SecretsQuestion {
            run: RunId::generate(),
            step: StepAddress::node(3),
            token: AttemptToken { number: 1, epoch: 7 },
            execution: ExecutionId::generate(),
            secrets: Vec::new(),
            key: opener.public().to_vec(),
        }
    }

    #[test]
    fn only_the_execution_that_asked_opens_it_and_only_as_what_it_is() {
        let (opener, other) = (Opener::generate(), Opener::generate());
        let question = question(&opener);
        let name: SecretName = "token".parse().unwrap();
        let sealed = seal(&question, (&name, 2), b"hunter2!").unwrap();
        assert_eq!(opener.open(&question, &sealed).unwrap().as_slice(), b"hunter2!");
        assert_eq!(other.open(&question, &sealed), Err(Mismatch));
        let elsewhere = SecretsQuestion { execution: ExecutionId::generate(), ..question.clone() };
        assert_eq!(opener.open(&elsewhere, &sealed), Err(Mismatch));
        let older = SealedSecret { version: 1, ..sealed.clone() };
        assert_eq!(opener.open(&question, &older), Err(Mismatch));
        let renamed = SealedSecret { name: "other".parse().unwrap(), ..sealed };
        assert_eq!(opener.open(&question, &renamed), Err(Mismatch));
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        let opener = Opener::generate();
        let name: SecretName = "token".parse().unwrap();
        for key in [vec![], vec![1; 31], vec![0; 32]] {
            let question = SecretsQuestion { key, ..question(&opener) };
            assert_eq!(seal(&question, (&name, 1), b"hunter2!"), Err(Mismatch));
        }
    }
}
