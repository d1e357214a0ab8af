"""The PyTorch twins of scratch.models: same names, same constructor, same state_dict."""

from reference.models.alexnet import AlexNet
from reference.models.bert import BERT
from reference.models.char_language_model import CharLanguageModel
from reference.models.cnn import CNN
from reference.models.detr import DETR
from reference.models.gpt import GPT
from reference.models.mlp import MLP
from reference.models.name_generator import NameGenerator
from reference.models.resnet import CifarResNet, ResNet
from reference.models.sentiment_classifier import SentimentClassifier
from reference.models.seq2seq import Seq2Seq
from reference.models.transformer import Transformer
from reference.models.unet import UNet
from reference.models.vgg import VGG
from reference.models.vit import ViT
from reference.models.yolo import YOLO

__all__ = [
    "BERT",
    "CNN",
    "DETR",
    "GPT",
    "MLP",
    "VGG",
    "YOLO",
    "AlexNet",
    "CharLanguageModel",
    "CifarResNet",
    "NameGenerator",
    "ResNet",
    "SentimentClassifier",
    "Seq2Seq",
    "Transformer",
    "UNet",
    "ViT",
]
