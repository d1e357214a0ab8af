"""Architectures, one file each, with the names and parameters of their PyTorch twins in reference.models."""

from scratch.models.alexnet import AlexNet
from scratch.models.bert import BERT
from scratch.models.char_language_model import CharLanguageModel
from scratch.models.cnn import CNN
from scratch.models.detr import DETR
from scratch.models.gpt import GPT
from scratch.models.mlp import MLP
from scratch.models.name_generator import NameGenerator
from scratch.models.resnet import CifarResNet, ResNet
from scratch.models.sentiment_classifier import SentimentClassifier
from scratch.models.seq2seq import Seq2Seq
from scratch.models.transformer import Transformer
from scratch.models.unet import UNet
from scratch.models.vgg import VGG
from scratch.models.vit import ViT
from scratch.models.yolo import YOLO

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
