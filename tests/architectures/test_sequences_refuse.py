"""Bad input of the layers for sequences is told with the value received and the rule: each file's table of it."""

import pytest
from test_decoding import WRONG as DECODING
from test_encoder_decoder import WRONG as ENCODER_DECODER
from test_kneser_ney import WRONG as KNESER_NEY
from test_llama import WRONG as LLAMA
from test_positions import WRONG as POSITIONS
from test_recurrent import WRONG as RECURRENT
from test_smollm2 import WRONG as SMOLLM2
from test_tokenization import WRONG as TOKENIZATION

TABLES = (RECURRENT, DECODING, ENCODER_DECODER, KNESER_NEY, LLAMA, POSITIONS, SMOLLM2, TOKENIZATION)
WRONG = {name: case for table in TABLES for name, case in table.items()}


def test_no_case_hides_another():
    assert len(WRONG) == sum(map(len, TABLES))


@pytest.mark.bad_input
@pytest.mark.parametrize("name", WRONG)
def test_bad_input_is_told_with_value_and_rule(name):
    call, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        call()
